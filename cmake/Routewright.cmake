# The functions that every folder uses, and nothing else. A folder is a target is a layer: trainer/loop is rw_trainer_loop.

# routewright_target(variable folder): the target of a folder, as rw_trainer_loop of trainer/loop.
function(routewright_target variable folder)
  string(REPLACE "/" "_" name "rw_${folder}")
  set(${variable} ${name} PARENT_SCOPE)
endfunction()

# routewright_library(FOLDERS folder… [LIBRARIES library…] [WITHOUT file…]): this folder's target, of every .cc in it but those
# of WITHOUT; warnings are errors.
#   FOLDERS    the folders whose headers it includes, all of them and no others (tests/layering_test.py compares)
#   LIBRARIES  libraries of others that come with none of these folders
function(routewright_library)
  cmake_parse_arguments(ARG "" "" "FOLDERS;LIBRARIES;WITHOUT" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  routewright_target(name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *.cc)
  if(ARG_WITHOUT)
    list(REMOVE_ITEM sources ${ARG_WITHOUT})
  endif()
  add_library(${name} STATIC ${sources})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Werror>)
  routewright_link(${name} PUBLIC FOLDERS ${ARG_FOLDERS} LIBRARIES ${ARG_LIBRARIES})
endfunction()

# routewright_link(target PUBLIC|PRIVATE FOLDERS folder… LIBRARIES library…)
function(routewright_link target scope)
  cmake_parse_arguments(ARG "" "" "FOLDERS;LIBRARIES" ${ARGN})
  foreach(folder ${ARG_FOLDERS})
    routewright_target(needed ${folder})
    target_link_libraries(${target} ${scope} ${needed})
  endforeach()
  target_link_libraries(${target} ${scope} ${ARG_LIBRARIES})
endfunction()

# routewright_test(batch [FOLDERS folder…] [LIBRARIES library…] [LABELS label…] [RANKS n…] [TIMEOUT s]), in
# tests/trainer/experience: builds batch_test.cc there with the target of trainer/experience and of FOLDERS, and runs it as
# trainer/experience/batch. With RANKS n… it runs as that many MPI ranks, a test for each n. Every test may read files below
# tests/ by a path relative to the source folder (its working folder), and finds the program in $ROUTEWRIGHT_BINARY.
function(routewright_test test)
  cmake_parse_arguments(ARG "" "TIMEOUT" "FOLDERS;LIBRARIES;LABELS;RANKS" ${ARGN})
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  set(path ${folder}/${test})
  string(REPLACE "/" "_" name "${path}_test")
  add_executable(${name} ${test}_test.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${name} PRIVATE -O1 -Wall -Wextra -Werror)  # a quarter less to compile
  routewright_target(tested ${folder})
  if(TARGET ${tested})
    target_link_libraries(${name} PRIVATE ${tested})
  endif()
  routewright_link(${name} PRIVATE FOLDERS ${ARG_FOLDERS} LIBRARIES ${ARG_LIBRARIES})
  if(ARG_RANKS)
    target_link_libraries(${name} PRIVATE GTest::gtest)
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main GTest::gmock)
  endif()
  set(tests)
  foreach(ranks ${ARG_RANKS})
    add_test(NAME ${path}@${ranks} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
      COMMAND ${ROUTEWRIGHT_MPIRUN} -n ${ranks} --oversubscribe --bind-to none $<TARGET_FILE:${name}>)
    set_tests_properties(${path}@${ranks} PROPERTIES PROCESSORS ${ranks})
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

# routewright_tests([FOLDERS folder…] [LIBRARIES library…]): a routewright_test of every *_test.cc in this folder that has none
# of its own above, so that no test is forgotten.
function(routewright_tests)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} *_test.cc)
  foreach(source ${sources})
    string(REGEX REPLACE "_test\\.cc$" "" test ${source})
    string(REPLACE "/" "_" name "${folder}/${test}_test")
    if(NOT TARGET ${name})
      routewright_test(${test} ${ARGN})
    endif()
  endforeach()
endfunction()

# routewright_helper(name FOLDERS folder…): a program of this folder that tests run, build/tests/name, of name.cc.
function(routewright_helper name)
  cmake_parse_arguments(ARG "" "" "FOLDERS;LIBRARIES" ${ARGN})
  add_executable(${name} ${name}.cc)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_compile_options(${name} PRIVATE -O1 -Wall -Wextra -Werror)
  routewright_link(${name} PRIVATE FOLDERS ${ARG_FOLDERS} LIBRARIES ${ARG_LIBRARIES})
endfunction()

# One target a folder, and an include directory that holds that folder alone: a file sees its own folder and what its target
# is declared to depend on. An include that the architecture forbids does not compile.
#
#   millrace_folder(NAME PATH DEPENDS target... LIBRARIES lib...)
#
# NAME     target millrace_NAME, a static library of the folder's *.cpp; test files (*_test.cpp) are left out
# PATH     the folder, from the root
# DEPENDS  other folders' NAMEs, visible to whoever depends on this one
# LIBRARIES outside libraries; PRIVATE_LIBRARIES those that no header of the folder shows
function(millrace_folder NAME PATH)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  set(include_root "${CMAKE_BINARY_DIR}/include/${NAME}")
  get_filename_component(parent "${include_root}/${PATH}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${PATH}" "${include_root}/${PATH}" SYMBOLIC)

  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${PATH}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  set(target "millrace_${NAME}")
  if(sources)
    add_library(${target} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(${target} PRIVATE millrace_warnings ${ARG_PRIVATE_LIBRARIES})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${target} ${scope} "${include_root}")
  list(TRANSFORM ARG_DEPENDS PREPEND "millrace_")
  target_link_libraries(${target} ${scope} ${ARG_DEPENDS} ${ARG_LIBRARIES})
endfunction()

# The tests of a folder: every *_test.cpp of DIRECTORY in one program, each case known to ctest under "LABEL".
#
#   millrace_tests(NAME LABEL DIRECTORY path LIBRARIES target...)
function(millrace_tests NAME)
  cmake_parse_arguments(ARG "" "LABEL;DIRECTORY" "LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/${ARG_DIRECTORY}/*_test.cpp")
  if(NOT sources)
    return()
  endif()
  set(target "test_${NAME}")
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE millrace_warnings millrace_catch_main ${ARG_LIBRARIES})
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  catch_discover_tests(${target} TEST_PREFIX "${NAME}: " PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT 300)
endfunction()

add_library(millrace_warnings INTERFACE)
target_compile_options(millrace_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers)
# The fences of Boost.Asio's reference counts and handlers are unknown to the thread sanitizer, and GCC says so wherever they are
# inlined. What it does not know of can make it report too much, never too little.
if(CMAKE_CXX_FLAGS_DEBUG MATCHES "-fsanitize=thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(millrace_warnings INTERFACE -Wno-tsan)
endif()

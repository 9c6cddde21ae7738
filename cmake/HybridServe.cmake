# Build helpers: what every target of the project shares.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Every program lands in one folder: they find each other beside /proc/self/exe.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# Where tools/setup puts what is built or fetched once a machine.
if(DEFINED ENV{XDG_CACHE_HOME})
  set(HS_CACHE "$ENV{XDG_CACHE_HOME}/hybridserve")
else()
  set(HS_CACHE "$ENV{HOME}/.cache/hybridserve")
endif()
# An engine that comes into the folder later is built from then on.
if(EXISTS "${HS_CACHE}")
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${HS_CACHE}")
endif()

set(HS_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them (address,undefined or thread)")

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(hs_flags INTERFACE)
target_include_directories(hs_flags INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
target_compile_options(hs_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Werror=return-type -Werror=unused-result
  -Wno-missing-field-initializers -fstack-protector-strong)
target_compile_definitions(hs_flags INTERFACE HYBRIDSERVE_VERSION="${PROJECT_VERSION}")
target_link_options(hs_flags INTERFACE -Wl,-z,relro,-z,now)
if(HS_SANITIZE)
  target_compile_options(hs_flags INTERFACE -fsanitize=${HS_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(hs_flags INTERFACE -fsanitize=${HS_SANITIZE})
endif()

# hs_library(NAME SOURCES ... DEPS ...): one folder, one static library hs_NAME.
function(hs_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(hs_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(hs_${name} PUBLIC hs_flags ${ARG_DEPS})
endfunction()

# hs_program(NAME SOURCES ... DEPS ...): one program in the build's bin folder.
function(hs_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hs_flags ${ARG_DEPS})
endfunction()

# hs_engine_build(FOLDER VARIABLE): names the build of an engine that lies in FOLDER.
function(hs_engine_build folder variable)
  file(READ "${folder}/key" key)
  string(SUBSTRING "${key}" 0 16 key)
  set(${variable} "${key}" PARENT_SCOPE)
endfunction()

# hs_jailed(TARGET): what a program needs that the sandbox runs.
function(hs_jailed target)
  if(HS_SANITIZE MATCHES address)
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/src/sandbox/testing/no_leak_check.cc)
  endif()
endfunction()

# hs_test(NAME SOURCES ... DEPS ...): one GoogleTest program; each TEST is one test of ctest.
# A test that needs what the machine lacks calls GTEST_SKIP() with the reason.
function(hs_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE hs_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  # Five times as many cases of a property as RapidCheck tries by itself. The time limit ends what hangs: on a
  # machine with cold caches the first build of a C++ function takes two minutes.
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT 600 ENVIRONMENT "RC_PARAMS=max_success=500")
endfunction()

# hs_fuzz(NAME SOURCES ... DEPS ... CORPUS folder): one fuzz target of a parser of untrusted bytes.
# With HS_FUZZ (preset fuzz: clang) it is a libFuzzer program; otherwise a test that feeds it its
# corpus and a fixed number of mutations of it.
option(HS_FUZZ "Build fuzz targets with libFuzzer" OFF)
add_custom_target(fuzz_targets)
function(hs_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(HS_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    add_dependencies(fuzz_targets ${name})
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE hs_flags ${ARG_DEPS})
    file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/corpora/${name}
      CONTENT ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
  else()
    add_executable(${name} ${ARG_SOURCES} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    target_link_libraries(${name} PRIVATE hs_flags ${ARG_DEPS})
    add_test(NAME fuzz.${name} COMMAND ${name} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120)
  endif()
endfunction()

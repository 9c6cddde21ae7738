# Every third-party dependency, named once. Debian's versions are those of Debian 12.
include(GoogleTest)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(GTest REQUIRED)
find_package(prometheus-cpp REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)

add_library(hs_asio INTERFACE)
target_link_libraries(hs_asio INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(hs_asio INTERFACE BOOST_ASIO_NO_DEPRECATED)

# containerd's agent is built where there are gRPC and containerd's own protocol.
find_package(Protobuf QUIET)
pkg_check_modules(GRPC QUIET IMPORTED_TARGET grpc++)
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin)
find_path(CONTAINERD_PROTOS github.com/containerd/containerd/api/services/tasks/v1/tasks.proto
  PATHS /usr/share/gocode/src)
set(HS_HAS_CONTAINERD OFF)
if(Protobuf_FOUND AND GRPC_FOUND AND GRPC_CPP_PLUGIN AND CONTAINERD_PROTOS)
  set(HS_HAS_CONTAINERD ON)
endif()

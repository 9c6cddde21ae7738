#include "sandbox/container_program.h"

#include "ipc/wire.h"

namespace hybridserve::sandbox {

std::string EncodeProgram(const ContainerProgram& program) {
  ipc::Writer out;
  out.PutString(program.host_name).Put(static_cast<uint32_t>(program.argv.size()));
  for (const std::string& argument : program.argv) out.PutString(argument);
  out.Put(static_cast<uint32_t>(program.environment.size()));
  for (const auto& [name, value] : program.environment) out.PutString(name).PutString(value);
  out.PutString(program.working_folder).Put(program.uid).Put(program.gid);
  out.Put(static_cast<uint8_t>(program.writable_root)).Put(program.disk_bytes);
  return out.Take();
}

Result<ContainerProgram> DecodeProgram(std::string_view bytes) {
  ipc::Reader in(bytes);
  ContainerProgram program;
  program.host_name = in.GetString();
  for (auto count = in.Get<uint32_t>(); count > 0 && !in.failed(); --count) {
    program.argv.emplace_back(in.GetString());
  }
  for (auto count = in.Get<uint32_t>(); count > 0 && !in.failed(); --count) {
    std::string name(in.GetString());
    program.environment[std::move(name)] = in.GetString();
  }
  program.working_folder = in.GetString();
  program.uid = in.Get<uint32_t>();
  program.gid = in.Get<uint32_t>();
  program.writable_root = in.Get<uint8_t>() != 0;
  program.disk_bytes = in.Get<uint64_t>();
  if (!in.Done()) return Fail(Code::kInvalidArgument, "a malformed container program");
  return program;
}

}  // namespace hybridserve::sandbox

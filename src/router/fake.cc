#include "router/fake.h"

#include <utility>

namespace hybridserve {

MemoryExchange::MemoryExchange(std::vector<std::string> pieces, bool announced)
    : pieces_(pieces.begin(), pieces.end()) {
  head_.method = "POST";
  head_.has_body = true;
  if (!announced) return;
  head_.content_length = 0;
  for (const std::string& piece : pieces_) *head_.content_length += piece.size();
}

Awaitable<std::string_view> MemoryExchange::ReadBody() {
  if (pieces_.empty()) co_return std::string_view();
  current_ = std::move(pieces_.front());
  pieces_.pop_front();
  read_ += current_.size();
  if (read_ > limit_) co_return Fail(Code::kTooLarge, "the body is over the limit");
  co_return std::string_view(current_);
}

Awaitable<> MemoryExchange::Send(ResponseHead head, std::string_view body) {
  status_ = head.status;
  answer_headers_ = std::move(head.headers);
  answer_ = body;
  ended_ = true;
  co_return Result<>();
}

Awaitable<> MemoryExchange::Begin(ResponseHead head, std::optional<uint64_t> /*content_length*/) {
  status_ = head.status;
  answer_headers_ = std::move(head.headers);
  co_return Result<>();
}

Awaitable<> MemoryExchange::Write(std::string_view piece) {
  answer_ += piece;
  co_return Result<>();
}

Awaitable<> MemoryExchange::End() {
  ended_ = true;
  co_return Result<>();
}

class FakePool::FakeSlot : public ContainerPool::Slot {
 public:
  FakeSlot(FakePool& pool, DeployedPtr function) : pool_(pool), function_(std::move(function)) {
    --pool_.view_.free_slots;
    ++pool_.view_.busy_slots;
  }
  ~FakeSlot() override {
    ++pool_.view_.free_slots;
    --pool_.view_.busy_slots;
    if (pool_.slot_freed_) pool_.slot_freed_(*function_);
  }

  Awaitable<ForwardResult> Forward(Exchange& exchange, AddHeaders add_headers) override {
    ++pool_.forwarded_;
    return pool_.forwarder_ ? pool_.forwarder_(exchange, std::move(add_headers))
                            : Echo(exchange, std::move(add_headers));
  }

 private:
  static Awaitable<ForwardResult> Echo(Exchange& exchange, AddHeaders add_headers) {
    ResponseHead head;
    head.headers.push_back({"Content-Type", "application/octet-stream"});
    add_headers(head, Microseconds(7));
    CO_TRY(co_await exchange.Begin(std::move(head), exchange.head().content_length));
    ForwardResult result{.status = 200, .run = Microseconds(7)};
    while (true) {
      Result<std::string_view> piece = co_await exchange.ReadBody();
      if (!piece) co_return tl::unexpected(std::move(piece.error()));
      if (piece->empty()) break;
      CO_TRY(co_await exchange.Write(*piece));
    }
    CO_TRY(co_await exchange.End());
    co_return result;
  }

  FakePool& pool_;
  DeployedPtr function_;
};

void FakePool::SetFree(uint32_t slots) {
  view_.ready = slots > 0 ? 1 : 0;
  view_.free_slots = slots;
}

void FakePool::SetBusy(uint32_t slots) {
  view_.ready = 1;
  view_.free_slots = 0;
  view_.busy_slots = slots;
}

PoolView FakePool::Look(const Deployed& /*function*/) const { return view_; }

std::unique_ptr<ContainerPool::Slot> FakePool::TryAcquire(const DeployedPtr& function) {
  if (view_.free_slots == 0) return nullptr;
  return std::make_unique<FakeSlot>(*this, function);
}

bool FakePool::Prepare(const DeployedPtr& /*function*/) {
  ++prepared_;
  return true;
}

Awaitable<std::unique_ptr<ContainerPool::Slot>> FakePool::Acquire(DeployedPtr function) {
  auto slot = TryAcquire(function);
  if (!slot) co_return tl::unexpected<Error>(acquire_error_);
  co_return std::move(slot);
}

Awaitable<> FakePool::Adopt(std::function<DeployedPtr(std::string_view)> /*resolve*/) {
  co_return Result<>();
}

Awaitable<> FakePool::Drain() { co_return Result<>(); }

std::shared_ptr<Deployed> MakeFunction(const std::string& name, int64_t revision) {
  auto function = std::make_shared<Deployed>();
  function->manifest.name = FunctionName{name};
  function->manifest.wasm.emplace();
  function->manifest.container.emplace();
  function->revision = RevisionId{revision};
  function->module = Digest{"module-" + name + "-" + std::to_string(revision)};
  function->image = Digest{"image-" + name};
  return function;
}

}  // namespace hybridserve

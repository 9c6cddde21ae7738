// Scratch: the private /tmp of one invocation: its folder, and how much may be in it.
//
// The folder lies in one that the executor's invocations share (a tmpfs of its jail), under the
// invocation's number. It is made when the guest first asks for something below it, and removed
// with all that it holds at the end, whatever ended the guest.
//
// Quota, in bytes: each name (of a file, folder or link) counts kNameBytes and each file its size
// besides, holes too. What has lost its last name counts until its last descriptor is closed.
// What goes beyond fails with ENOSPC; a write is cut where the room ends. Names are bounded by
// kMaxNames, depth by kMaxDepth: removal takes a bounded time.
//
// The methods that are named after a system call take its arguments, answer as it does (-1 and
// errno), and count. Nobody else changes the folder, so what stat() says before a call is what the
// call meets. Paths are the caller's business: a folder's descriptor here leads below the folder,
// and a name is one component.
//
// Thread rule: one thread; used for one invocation after another.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "base/unique_fd.h"

namespace hybridserve::wasi {

class Scratch {
  // What is open of an inode.
  struct Inode {
    uint64_t bytes = 0;  // 0 of a folder.
    uint32_t descriptors = 0;
    bool named = true;  // Its last name is not gone.
  };

 public:
  static constexpr uint64_t kNameBytes = 4096;
  static constexpr uint64_t kMaxNames = 65536;
  static constexpr int kMaxDepth = 64;  ///< Folders on the way to a name.

  struct Spec {
    int parent = -1;      ///< The shared folder, stays the caller's; -1: there is none.
    uint64_t number = 0;  ///< That no other invocation in `parent` has.
    uint64_t limit_bytes = 0;
  };

  /// One descriptor on something in the folder: keeps counting what it refers to.
  class Use {
   public:
    Use() = default;
    Use(Use&& other) noexcept { *this = std::move(other); }
    Use& operator=(Use&& other) noexcept;
    ~Use() { Reset(); }
    explicit operator bool() const { return scratch_ != nullptr; }

   private:
    friend class Scratch;
    Use(Scratch* scratch, ino_t number, Inode* inode)
        : scratch_(scratch), number_(number), inode_(inode) {}
    void Reset();

    Scratch* scratch_ = nullptr;
    ino_t number_ = 0;
    Inode* inode_ = nullptr;
  };
  enum class At : uint8_t { kOffset, kPosition, kEnd };

  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { End(); }

  /// Makes no system call.
  void Begin(const Spec& spec);
  /// Removes the folder if it was made. No Use is left.
  void End();
  /// Whether there is a folder to be had: a parent, and a limit over 0.
  [[nodiscard]] bool offered() const { return spec_.parent >= 0 && spec_.limit_bytes > 0; }
  /// The folder, made at the first call; -1 and errno.
  int Folder();

  /// To be called with what fstat() says of each descriptor opened below the folder.
  [[nodiscard]] Use Open(const struct stat& opened);
  /// Room for one more name: -1 and ENOSPC. TakeBackName() when it was not made after all.
  int AddName();
  void TakeBackName() { Forget(0); }
  /// A file was emptied when it was opened; `before` is what stat() had said.
  void Emptied(const struct stat& before);

  /// `offset` is of At::kOffset. Fewer bytes than asked for where the room ends.
  ssize_t Write(const Use& use, int fd, std::span<const uint8_t> bytes, At at, off_t offset);
  int Ftruncate(const Use& use, int fd, off_t size);
  /// The quota is the reservation: the file grows, its pages come when they are written.
  int Fallocate(const Use& use, int fd, off_t offset, off_t bytes);
  /// Besides: EMLINK, below kMaxDepth.
  int Mkdirat(int folder, const char* name, mode_t mode);
  int Unlinkat(int folder, const char* name, int flags);
  /// Besides: EXDEV, a folder with folders in it would get deeper, or any folder below kMaxDepth.
  int Renameat(int from, const char* name, int to, const char* new_name);
  int Linkat(int from, const char* name, int to, const char* new_name);
  int Symlinkat(const char* target, int folder, const char* name);

  /// What counts now.
  [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }

 private:
  [[nodiscard]] uint64_t room() const { return spec_.limit_bytes - used_bytes_; }
  // One name less, and `bytes` of content.
  void Forget(uint64_t bytes);
  void SetSize(Inode& inode, uint64_t bytes);
  // A name of what stat() had said this of is gone.
  void NameGone(const struct stat& before);
  // One name more if `made` is 0; returns `made`.
  int Keep(int made);
  // How many folders lie on the way to a name in `folder`; over kMaxDepth: so many or more.
  [[nodiscard]] int DepthOf(int folder) const;
  [[nodiscard]] bool IsTooDeep(const struct stat& moved, int from, int to) const;
  // Removes what is in the folder `name` of the parent; folders are moved into the parent instead,
  // as Name(moved + 1) and on.
  void Empty(const std::string& name, uint64_t& moved) const;
  [[nodiscard]] std::string Name(uint64_t moved) const;

  Spec spec_;
  UniqueFd folder_;
  ino_t root_ = 0;
  uint64_t used_bytes_ = 0;
  uint64_t names_ = 0;
  std::unordered_map<ino_t, Inode> open_;
};

}  // namespace hybridserve::wasi

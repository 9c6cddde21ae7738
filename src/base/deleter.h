// Deleter: for a std::unique_ptr to an object of a C library, which a function of that library
// frees.
//
// Thread rule: that of the function.
#pragma once

namespace hybridserve {

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

}  // namespace hybridserve

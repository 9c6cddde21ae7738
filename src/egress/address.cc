#include "egress/address.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace hybridserve {
namespace {

namespace ip = boost::asio::ip;

struct Block4 {
  uint32_t network;
  int bits;
};

// IANA IPv4 Special-Purpose Address Registry, multicast and the reserved class.
constexpr Block4 kSpecial4[] = {
    {0x00000000, 8},   // 0.0.0.0/8 "this network"
    {0x0a000000, 8},   // 10.0.0.0/8 private
    {0x64400000, 10},  // 100.64.0.0/10 shared
    {0x7f000000, 8},   // 127.0.0.0/8 loopback
    {0xa9fe0000, 16},  // 169.254.0.0/16 link-local
    {0xac100000, 12},  // 172.16.0.0/12 private
    {0xc0000000, 24},  // 192.0.0.0/24 protocol assignments
    {0xc0000200, 24},  // 192.0.2.0/24 documentation
    {0xc0586300, 24},  // 192.88.99.0/24 6to4 relays
    {0xc0a80000, 16},  // 192.168.0.0/16 private
    {0xc6120000, 15},  // 198.18.0.0/15 benchmarking
    {0xc6336400, 24},  // 198.51.100.0/24 documentation
    {0xcb007100, 24},  // 203.0.113.0/24 documentation
    {0xe0000000, 4},   // 224.0.0.0/4 multicast
    {0xf0000000, 4},   // 240.0.0.0/4 reserved, broadcast
};

struct Block6 {
  std::array<uint8_t, 4> prefix;
  int bits;  // At most 32.
};

// Within 2000::/3, the only block that is given out: what is not global unicast.
constexpr Block6 kSpecial6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},  // 2001::/23 protocol assignments, Teredo among them
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // 2001:db8::/32 documentation
    {{0x20, 0x02, 0x00, 0x00}, 16},  // 2002::/16 6to4
    {{0x3f, 0xff, 0x00, 0x00}, 20},  // 3fff::/20 documentation
};

bool IsPublic4(const ip::address_v4& address) {
  const uint32_t number = address.to_uint();
  return std::none_of(std::begin(kSpecial4), std::end(kSpecial4), [number](const Block4& block) {
    return (number >> (32 - block.bits)) == (block.network >> (32 - block.bits));
  });
}

uint32_t Number(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

bool IsPublic6(const ip::address_v6& address) {
  const ip::address_v6::bytes_type bytes = address.to_bytes();
  constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<uint8_t, 12> kNat64{0, 0x64, 0xff, 0x9b};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin()) ||
      std::equal(kNat64.begin(), kNat64.end(), bytes.begin())) {
    return IsPublic4(ip::address_v4(Number(&bytes[12])));
  }
  if ((bytes[0] & 0xe0) != 0x20) return false;  // Outside 2000::/3.
  const uint32_t number = Number(bytes.data());
  return std::none_of(std::begin(kSpecial6), std::end(kSpecial6), [number](const Block6& block) {
    return (number >> (32 - block.bits)) == (Number(block.prefix.data()) >> (32 - block.bits));
  });
}

}  // namespace

bool IsPublic(const ip::address& address) {
  return address.is_v4() ? IsPublic4(address.to_v4()) : IsPublic6(address.to_v6());
}

}  // namespace hybridserve

#include "egress/address.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

bool Public(const char* text) { return IsPublic(boost::asio::ip::make_address(text)); }

TEST(AddressTest, WhatTheInternetRoutesIsPublic) {
  for (const char* address : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
                              "126.255.255.255", "128.0.0.0", "169.253.255.255", "172.15.255.255",
                              "172.32.0.0", "192.167.255.255", "223.255.255.255", "2606:4700::1111",
                              "2001:4860:4860::8888", "::ffff:1.1.1.1", "64:ff9b::101:101"}) {
    EXPECT_TRUE(Public(address)) << address;
  }
}

TEST(AddressTest, LoopbackPrivateLinkLocalAndReservedAddressesAreNot) {
  for (const char* address :
       {"0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1",
        "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12::1",
        "ff02::1", "100::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "3fff::1"}) {
    EXPECT_FALSE(Public(address)) << address;
  }
}

TEST(AddressTest, AnAddressInsideAnIpv6AddressIsLookedAt) {
  for (const char* address : {"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1",
                              "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "::127.0.0.1"}) {
    EXPECT_FALSE(Public(address)) << address;
  }
}

}  // namespace
}  // namespace hybridserve

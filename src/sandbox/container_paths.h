// ContainerPaths: what of /proc a container may not see or write, and where its programs are looked
// for.
//
// Source: runc's defaults (libcontainer/specconv) and Docker's.
//
// Thread rule: constants.
#pragma once

namespace hybridserve::sandbox {

/// Relative to the root; those that the kernel lacks are skipped.
inline constexpr const char* kMaskedPaths[] = {
    "proc/acpi",       "proc/asound",        "proc/interrupts",  "proc/kcore",
    "proc/keys",       "proc/latency_stats", "proc/sched_debug", "proc/scsi",
    "proc/timer_list", "proc/timer_stats",
};
inline constexpr const char* kReadOnlyPaths[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
                                                 "proc/sysrq-trigger"};

/// PATH where neither the image nor the manifest has one.
inline constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace hybridserve::sandbox

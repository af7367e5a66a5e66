#pragma once

#include "plugins/emulator/devkit.h"
#include "runner/stage/record.h"

namespace millrace::emulator {

/// Which firmware's messages the devices send. A profile is one function in profile.cpp from readings to fields.
enum class Profile {
  getstarted,  ///< the DevKit's sample: messageId, temperature, humidity; here with the board's other sensors
};

/// Appends to `batch` the message that the firmware would send for `reading`, taken by `device` at `time`.
void append_message(Batch& batch, Profile profile, const DevKit& device, const Reading& reading, Time time);

}  // namespace millrace::emulator

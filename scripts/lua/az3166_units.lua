-- az3166_units.lua: an MXChip AZ3166 DevKit's readings in the units people use.
--
-- Reads and replaces in place, where they are numbers:
--   accelerometer.x, .y, .z   milli-g                    -> g
--   gyroscope.x, .y, .z       milli-degrees per second   -> degrees per second
--   magnetometer.x, .y, .z    milli-gauss                -> microtesla (1 gauss is 100 microtesla)
-- Temperature (degrees Celsius), humidity (%) and pressure (hPa) are in such units already. Other fields pass unchanged.
--
-- The parts are the LSM6DSL (accelerometer, gyroscope) and the LIS2MDL (magnetometer); their drivers report in thousandths.

local DIVISORS = {accelerometer = 1000, gyroscope = 1000, magnetometer = 10}

function process(record, meta)
  for sensor, divisor in pairs(DIVISORS) do
    local reading = record[sensor]
    if reading ~= nil and type(reading) == "userdata" and reading ~= null then
      for _, axis in ipairs{"x", "y", "z"} do
        local value = reading[axis]
        if math.type(value) then reading[axis] = value / divisor end
      end
    end
  end
  return record
end

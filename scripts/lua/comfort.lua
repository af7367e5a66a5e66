-- comfort.lua: how the air feels.
--
-- Reads    temperature   air temperature, degrees Celsius
--          humidity      relative humidity, percent
-- Adds     dew_point     degrees Celsius, two decimals
--          heat_index    apparent temperature in the shade, degrees Celsius, two decimals
--
-- A record without both numbers, or with a humidity outside 0 to 100, passes unchanged.
--
-- Dew point: the Magnus formula over water with the constants of Sonntag (1990), a = 17.62 and b = 243.12 degrees Celsius, as the WMO's
-- Guide to Instruments and Methods of Observation (WMO-No. 8) gives them; good within 0.35 degrees from -45 to 60 degrees Celsius. At 0 % there is
-- none, and dew_point is left out.
--
-- Heat index: the US National Weather Service's procedure (wpc.ncep.noaa.gov/html/heatindex_equation.shtml): Steadman's simple
-- formula averaged with the temperature, and where that reaches 80 degrees Fahrenheit the regression of Rothfusz (1990, technical
-- attachment SR 90-23) with its two adjustments, for dry air and for moist air. It is calculated in Fahrenheit, as published, and
-- converted. Below about 27 degrees Celsius it means little, and stays near the temperature.

local MAGNUS_A, MAGNUS_B = 17.62, 243.12

local function round(x) return math.floor(x * 100 + 0.5) / 100 end

-- temperature in degrees Celsius, humidity in percent above 0; degrees Celsius
function dew_point(temperature, humidity)
  local gamma = math.log(humidity / 100) + MAGNUS_A * temperature / (MAGNUS_B + temperature)
  return MAGNUS_B * gamma / (MAGNUS_A - gamma)
end

-- temperature in degrees Celsius, humidity in percent; degrees Celsius
function heat_index(temperature, humidity)
  local t, rh = temperature * 9 / 5 + 32, humidity
  local simple = 0.5 * (t + 61.0 + (t - 68.0) * 1.2 + rh * 0.094)
  local hi = (simple + t) / 2
  if hi >= 80 then
    hi = -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 0.00683783 * t * t - 0.05481717 * rh * rh
      + 0.00122874 * t * t * rh + 0.00085282 * t * rh * rh - 0.00000199 * t * t * rh * rh
    if rh < 13 and t >= 80 and t <= 112 then
      hi = hi - (13 - rh) / 4 * math.sqrt((17 - math.abs(t - 95)) / 17)
    elseif rh > 85 and t >= 80 and t <= 87 then
      hi = hi + (rh - 85) / 10 * (87 - t) / 5
    end
  end
  return (hi - 32) * 5 / 9
end

function process(record, meta)
  local temperature, humidity = record.temperature, record.humidity
  if math.type(temperature) == nil or math.type(humidity) == nil then return record end
  if humidity < 0 or humidity > 100 then return record end
  if humidity > 0 and temperature > -MAGNUS_B then record.dew_point = round(dew_point(temperature, humidity)) end
  record.heat_index = round(heat_index(temperature, humidity))
  return record
end

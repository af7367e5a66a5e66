-- deadband.lua: passes a record only if something in it has changed enough, or enough time has passed.
--
-- For each device it remembers the last record that it let through. A record passes if
--   - it is the device's first, or
--   - one of the FIELDS differs from the remembered one by at least its band (a number by its difference, anything else by not
--     being equal; a field that comes or goes counts as a change), or
--   - HEARTBEAT milliseconds have passed since the remembered one, by the records' own time.
-- The others are dropped. Copy the script and set the two tables to your sensors.
--
-- At most MAX_DEVICES devices are remembered; when there are more, all are forgotten and each passes once more.

FIELDS = {temperature = 0.2, humidity = 1.0, pressure = 0.5}  -- degrees Celsius, percent, hPa
HEARTBEAT = 60000                                             -- milliseconds
MAX_DEVICES = 10000

local remembered, devices = {}, 0

local function changed(last, record)
  for field, band in pairs(FIELDS) do
    local before, after = last[field], record[field]
    if math.type(before) and math.type(after) then
      if math.abs(after - before) >= band then return true end
    elseif before ~= after then
      return true
    end
  end
  return false
end

function process(record, meta)
  local last = remembered[meta.device]
  if last and meta.time - last.time < HEARTBEAT and not changed(last.values, record) then return nil end
  if not last then
    if devices >= MAX_DEVICES then remembered, devices = {}, 0 end
    devices = devices + 1
  end
  local values = {}
  for field in pairs(FIELDS) do values[field] = record[field] end
  remembered[meta.device] = {time = meta.time, values = values}
  return record
end

-- dedupe.lua: drops a message that has been delivered before.
--
-- With MQTT at quality of service 1 a broker may deliver a message twice. Where devices number their messages, a number seen among
-- the device's last WINDOW numbers marks a repetition, which is dropped. Records without the number pass.
--
-- Reads  messageId (NUMBER_FIELD), an integer that a device does not repeat within its last WINDOW messages.
-- A device that restarts and counts from 1 again is let through as soon as its numbers have left the window.

NUMBER_FIELD = "messageId"
WINDOW = 64
MAX_DEVICES = 10000

local seen, devices = {}, 0

function process(record, meta)
  local number = record[NUMBER_FIELD]
  if math.type(number) ~= "integer" then return record end
  local last = seen[meta.device]
  if not last then
    if devices >= MAX_DEVICES then seen, devices = {}, 0 end
    last, devices = {at = 0, numbers = {}, ring = {}}, devices + 1
    seen[meta.device] = last
  end
  if last.numbers[number] then return nil end
  last.at = last.at % WINDOW + 1
  local oldest = last.ring[last.at]
  if oldest then last.numbers[oldest] = nil end
  last.ring[last.at], last.numbers[number] = number, true
  return record
end

-- Adds a field, renames one and drops 12 % of the records.
function process(record)
  if record.messageId % 25 < 3 then return nil end
  record.dew = record.temperature - (100 - record.humidity) / 5
  record.temp = record.temperature
  record.temperature = nil
  return record
end

test("thousandths become units", function()
  local out = process(Record{accelerometer = {x = -9, y = 24, z = 1001}, gyroscope = {x = 281, y = -801, z = 240},
                             magnetometer = {x = -180, y = 63, z = -412}, temperature = 23.5})
  expect(tostring(out), '{"accelerometer":{"x":-0.009,"y":0.024,"z":1.001},"gyroscope":{"x":0.281,"y":-0.801,"z":0.24},' ..
                        '"magnetometer":{"x":-18.0,"y":6.3,"z":-41.2},"temperature":23.5}')
end)

test("what is missing, null or of another shape passes unchanged", function()
  for _, fields in ipairs{{}, {accelerometer = null}, {accelerometer = 5}, {gyroscope = {x = "1", y = null}}, {magnetometer = list{1, 2, 3}}} do
    local before = tostring(Record(fields))
    expect(tostring(process(Record(fields))), before)
  end
end)

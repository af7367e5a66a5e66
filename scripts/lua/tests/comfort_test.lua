test("dew point of textbook cases", function()
  expect_near(dew_point(20, 50), 9.27, 0.02)   -- WMO tables, over water
  expect_near(dew_point(25, 60), 16.7, 0.05)
  expect_near(dew_point(30, 80), 26.17, 0.05)
  expect_near(dew_point(-10, 70), -14.4, 0.1)
end)

test("at saturation the dew point is the temperature", function()
  for t = -20, 50, 10 do expect_near(dew_point(t, 100), t, 1e-9) end
end)

-- The National Weather Service's heat index chart, degrees Fahrenheit.
test("heat index agrees with the published chart", function()
  local function chart(f, rh) return heat_index((f - 32) * 5 / 9, rh) * 9 / 5 + 32 end
  for _, row in ipairs{{80, 40, 80}, {84, 50, 85}, {90, 70, 105}, {94, 60, 110}, {100, 40, 109}, {96, 75, 132}, {110, 40, 136}} do
    expect_near(chart(row[1], row[2]), row[3], 1.0)
  end
end)

test("heat index adjusts for dry and for moist air", function()
  local function chart(f, rh) return heat_index((f - 32) * 5 / 9, rh) * 9 / 5 + 32 end
  -- 95 F at 5 %: the regression less (13 - 5) / 4 * 1 = 2 degrees.
  local t, rh = 95, 5
  local regression = -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 6.83783e-3 * t ^ 2 - 5.481717e-2 * rh ^ 2
    + 1.22874e-3 * t ^ 2 * rh + 8.5282e-4 * t * rh ^ 2 - 1.99e-6 * t ^ 2 * rh ^ 2
  expect_near(chart(95, 5), regression - 2, 1e-6)
  -- 82 F at 95 %: plus (95 - 85) / 10 * (87 - 82) / 5 = 1 degree.
  t, rh = 82, 95
  regression = -42.379 + 2.04901523 * t + 10.14333127 * rh - 0.22475541 * t * rh - 6.83783e-3 * t ^ 2 - 5.481717e-2 * rh ^ 2
    + 1.22874e-3 * t ^ 2 * rh + 8.5282e-4 * t * rh ^ 2 - 1.99e-6 * t ^ 2 * rh ^ 2
  expect_near(chart(82, 95), regression + 1, 1e-6)
end)

test("in cool air the heat index stays near the temperature", function()
  expect_near(heat_index(20, 50), 19.68, 0.01)  -- the mean of 20 degrees and the simple formula's 19.36
end)

test("a record gets both fields, rounded, and keeps its own", function()
  local out = process(Record{temperature = 31.5, humidity = 70, pressure = 1000})
  expect(out.dew_point, 25.36)
  expect(out.heat_index, 38.97)  -- the chart has 37.8 at 31.1 degrees and 40.6 at 32.2
  expect(out.pressure, 1000)
  expect(out.temperature, 31.5)
end)

test("a record without both numbers passes unchanged", function()
  for _, fields in ipairs{{}, {temperature = 20}, {temperature = null, humidity = 50}, {temperature = "20", humidity = 50},
                          {temperature = 20, humidity = 101}, {temperature = 20, humidity = -1}} do
    local out = process(Record(fields))
    expect(out.dew_point, nil)
    expect(out.heat_index, nil)
  end
end)

test("perfectly dry air has no dew point", function()
  local out = process(Record{temperature = 20, humidity = 0})
  expect(out.dew_point, nil)
  expect(out.heat_index ~= nil, true)
end)

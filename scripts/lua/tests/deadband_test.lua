local function pass(device, time, fields) return process(Record(fields), {device = device, time = time}) ~= nil end

test("small changes are dropped, large ones pass and become the new reference", function()
  expect(pass("a", 0, {temperature = 20.0}), true)
  expect(pass("a", 1000, {temperature = 20.1}), false)
  expect(pass("a", 2000, {temperature = 20.25}), true)
  expect(pass("a", 3000, {temperature = 20.1}), false)
  expect(pass("a", 4000, {temperature = 20.0}), true)
end)

test("slow drift passes once it adds up", function()
  local passed = 0
  for i = 0, 20 do if pass("drift", i, {humidity = 50 + i * 0.125}) then passed = passed + 1 end end
  expect(passed, 3)  -- at 0, 1.0 and 2.0
end)

test("devices are apart", function()
  expect(pass("b", 0, {temperature = 20}), true)
  expect(pass("c", 0, {temperature = 20}), true)
  expect(pass("b", 1, {temperature = 20}), false)
end)

test("a heartbeat passes without change", function()
  expect(pass("beat", 0, {temperature = 20}), true)
  expect(pass("beat", 59999, {temperature = 20}), false)
  expect(pass("beat", 60000, {temperature = 20}), true)
  expect(pass("beat", 60001, {temperature = 20}), false)
end)

test("a field that comes or goes is a change, null is not a number", function()
  expect(pass("d", 0, {temperature = 20}), true)
  expect(pass("d", 1, {temperature = 20, humidity = 40}), true)
  expect(pass("d", 2, {temperature = null, humidity = 40}), true)
  expect(pass("d", 3, {temperature = null, humidity = 40}), false)
  expect(pass("d", 4, {humidity = 40}), true)
end)

test("more devices than it remembers pass once more", function()
  MAX_DEVICES = 3
  for i = 1, 5 do expect(pass("m" .. i, 0, {}), true) end
  expect(pass("m5", 1, {}), false)
  expect(pass("m1", 1, {}), true)
end)

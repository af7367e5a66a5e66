local function pass(device, number) return process(Record{messageId = number}, {device = device}) ~= nil end

test("a repeated number is dropped, for its device only", function()
  expect(pass("a", 1), true)
  expect(pass("a", 1), false)
  expect(pass("b", 1), true)
  expect(pass("a", 2), true)
  expect(pass("a", 1), false)
end)

test("a number may come again once it has left the window", function()
  for i = 1, WINDOW do expect(pass("w", i), true) end
  expect(pass("w", 1), false)
  expect(pass("w", WINDOW + 1), true)
  expect(pass("w", 1), true)
  expect(pass("w", 3), false)
end)

test("records without a whole number pass", function()
  for _, id in ipairs{null, "7", 1.5} do
    expect(pass("n", id), true)
    expect(pass("n", id), true)
  end
  expect(process(Record{}, {device = "n"}) ~= nil, true)
end)

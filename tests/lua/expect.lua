-- What the tests of scripts are written with: test(name, function), expect(actual, expected), expect_near(actual, expected, within).
-- Each test says one line to the runner: "ok NAME" or "FAILED NAME: why".

local function show(value) return type(value) == "string" and ("%q"):format(value) or tostring(value) end

function expect(actual, expected)
  if actual ~= expected or math.type(actual) ~= math.type(expected) and type(actual) ~= "number" then
    error("expected " .. show(expected) .. ", got " .. show(actual), 2)
  end
end

function expect_near(actual, expected, within)
  if math.type(actual) == nil or not (math.abs(actual - expected) <= within) then
    error("expected " .. show(expected) .. " within " .. within .. ", got " .. show(actual), 2)
  end
end

function test(name, body)
  local passed, why = pcall(body)
  report(passed and "ok " .. name or "FAILED " .. name .. ": " .. tostring(why))
end

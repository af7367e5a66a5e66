set(NEEDS store)
set(LIBRARIES nlohmann_json::nlohmann_json)

set(NEEDS lua store)
set(LIBRARIES PkgConfig::LUA nlohmann_json::nlohmann_json)

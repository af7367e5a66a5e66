set(LIBRARIES simdjson::simdjson)

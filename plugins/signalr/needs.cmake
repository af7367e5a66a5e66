set(NEEDS http)
set(LIBRARIES nlohmann_json::nlohmann_json OpenSSL::Crypto CURL::libcurl)

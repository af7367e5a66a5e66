set(NEEDS store)
set(LIBRARIES CURL::libcurl OpenSSL::Crypto Boost::url nlohmann_json::nlohmann_json)

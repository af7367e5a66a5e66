set(NEEDS mqtt store)

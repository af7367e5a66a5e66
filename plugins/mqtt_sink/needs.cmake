set(NEEDS mqtt)

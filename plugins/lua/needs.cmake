set(NEEDS lua)

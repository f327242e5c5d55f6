"""Training data out of a teacher's answers: curated step by step, exported in the forms that trainers take."""

"""What watches a run from outside: boards, rules, and the servers that show them."""

"""Files that wpbridge puts into a WordPress: how they get there, and what is made of them."""

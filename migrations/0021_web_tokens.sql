-- What Intum's web tokens sign can only be checked with the secret itself: sealed with a key that is not in the database.
ALTER TABLE api_keys ADD COLUMN sealed_secret {blob};

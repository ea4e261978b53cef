-- Requests that were sent with a key of the client's own, so that sending one again does nothing twice: the answer to the first is the answer
-- to all. The key is whoever asks' own; two askers may have the same.
--
-- What was asked is kept as a keyed digest only: bodies hold values of secrets, and whoever has a copy of the database must not be able to try
-- values against it. Answers that hold something that is told once (a token) or are long have no body here.
CREATE TABLE keyed_request (
    asker text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 200),
    print bytea NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    -- Null while the request is being worked on.
    status smallint,
    content_type text,
    etag text,
    body bytea CHECK (octet_length(body) <= 65536),
    PRIMARY KEY (asker, key)
);
CREATE INDEX keyed_request_begun ON keyed_request (begun_at);

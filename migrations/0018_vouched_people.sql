-- Who vouched for whom: the subject by which an issuer of tokens knows a person.
--
-- An address may be given to somebody else; a subject never is. So an address makes the link once, and from then on the subject is who the
-- person is. Another subject of the same issuer with that address is somebody else, and does not become this person: the account
-- has to be removed first.
CREATE TABLE person_subject (
    issuer text NOT NULL CHECK (length(issuer) BETWEEN 1 AND 500),
    subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
    person uuid NOT NULL REFERENCES person ON DELETE CASCADE,
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject),
    CONSTRAINT person_subject_once UNIQUE (person, issuer)
);

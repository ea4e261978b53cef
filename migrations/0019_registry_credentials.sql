-- One credential for each registry of an organisation.
--
-- A RegistryCredential says as whom an organisation asks one registry. If there were two for the same one, nobody could say with which of them an
-- image is looked up and pulled. A constraint says so to everybody, whoever writes the row. The index covers this kind alone, of which there are few.

CREATE UNIQUE INDEX resource_registry ON resource (org, (spec->>'registry')) WHERE kind = 'RegistryCredential';

-- What refers to a resource is found without a detour.
--
-- A GIN index with `fastupdate` puts new entries on a list that every search reads from end to end, until a vacuum or four megabytes
-- make an index of it. After many resources were applied at once each pass went through that list: with a thousand environments
-- it was the dearest statement of all. A resource's entries are few, so they go into the index at once.

ALTER INDEX resource_refs SET (fastupdate = off);
ALTER INDEX resource_labels SET (fastupdate = off);

-- The lists that there are; nothing comes to them any more.
SELECT gin_clean_pending_list('resource_refs'), gin_clean_pending_list('resource_labels');

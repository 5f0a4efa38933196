// Package filelog stores events durably in a directory of one machine, using only the
// standard library. [Log] is an [eventlog.Log]; one directory has all channels of a
// namespace.
//
//	log, err := filelog.Open("/var/lib/chat", &filelog.Options{Retention: time.Hour})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//
// # Guarantees
//
// Appends that wait at the same time are written together, with one write and one sync.
// Then each record is delivered in order and its Append returns. The
// guarantee of an Append that returns nil depends on [Options].Sync:
//
//	SyncCommit    the record survives a crash of the process and a loss of power
//	SyncInterval  it survives a crash; a loss of power may lose the last SyncInterval
//	SyncNever     it survives a crash; a loss of power may lose the newest segment's records
//
// Under SyncCommit nothing is delivered or replayed before it is on disk. Under
// the others, records may be delivered and then lost; replays from their positions are
// truncated afterwards. No id is ever used for two events: Open begins a new epoch if the
// log was not closed cleanly and not every commit was synced, and if it has to cut or
// replace damaged bytes.
//
// # Errors
//
// A failed write is undone completely: Append returns [ErrNotStored], and reads continue
// to work. After a failed sync the content of the disk is unknown: the appends of that
// commit return [eventlog.ErrUncertain], and all later ones return [ErrBroken] until the
// directory is opened again. Records whose Append returned ErrUncertain may then appear in a
// replay. An append that repeats a known key succeeds even then, since it writes nothing.
//
// # Full disk
//
// On a full disk, or beyond a quota, Append returns [ErrNotStored]. Appends succeed again
// when there is space, or when the records of the oldest segment have expired, since
// dropping segments needs no space. Open succeeds on a full disk too, unless the log is
// new, is damaged, or the disk has no capacity for further files. Close then returns an
// error, although all acknowledged records are stored; the next Open finds the log as after
// a crash.
//
// Append and Trim return [ErrGone] if the directory was removed, renamed or replaced
// since it was opened. Every commit that syncs checks this before it writes; other
// commits check it every ten milliseconds.
//
// # Damage
//
// Open reads and verifies every byte. Bytes after the last synced record that are not a
// complete record are the rest of a write during a crash: Open cuts them off. Any other
// wrong bytes are damage. Open keeps the damaged file under a name that ends in
// ".damaged", and replaces it by one with all records that are intact. Replays from before
// lost records are truncated, so that they are not taken to be complete. [Log.Report]
// returns what Open found; [Check] finds the same without changing anything. Bytes that are
// damaged later, and files that are removed, are detected when they are read: the replay
// ends with [ErrDamaged]. From then on replays from before the lost records are truncated,
// and leave these out.
//
// # Retention
//
// Whole segments are removed, oldest first, when all of their records are older than
// [Options].Retention or than the time passed to Trim. A segment is closed when it reaches
// SegmentBytes or an eighth of the retention, so that few records are kept for long after
// their retention. Records that are too old but still on disk are not replayed.
//
// With [Options].Retention the log removes old records by itself, even if Trim is never
// called.
//
// The age of a record is measured on the log's clock. This is the machine's clock, but it
// is never set back: if the machine's clock is, or if the newest record is in the future
// when the log is opened, the log's clock continues from there while the log is open.
// Records then have later times than the machine's clock shows, but still age.
//
// A channel without records is remembered until the next segments are dropped.
// After that the log's floor is used in place of the channel's.
//
// # Keys
//
// The key of a record is stored with the record, so that it is remembered after a crash.
// Open reads the keys of all records of the last KeyWindow. A key is remembered for
// KeyWindow, on the log's clock, even if its record is trimmed: it is then stored in the
// checkpoint, where it takes 40 bytes.
//
// # Files
//
// All numbers are little endian; "uvarint" is that of encoding/binary; a string is a
// uvarint length and the bytes. A sum is a CRC-32C. All sums but those of headers
// and the checkpoint start from the sum of the log's salt, a random number that
// never leaves the directory, so that no payload can look like a record.
//
//	LOCK                      locked while the log is open
//	CHECKPOINT                the state that the segments do not contain
//	KEPT                      values of Log.Bus; created with the first one
//	00000000000000000001.seg  a segment, named by its first Seq
//	*.damaged                 originals of damaged files, never read
//	*.tmp                     incomplete files, removed by Open
//
// A segment is a header, records and, once it is closed, a footer:
//
//	header (32 bytes)
//	 0  8  "orpclog1"
//	 8  8  salt
//	16  8  first Seq
//	24  4  0
//	28  4  sum of the bytes before
//
//	record
//	 0  4  length of the rest of the record after the sum
//	 4  4  sum of that rest; the length is xored into its start
//	 8  8  epoch; in base 36 it is that of positions
//	16  8  Seq
//	24  8  Prev
//	32  8  time in nanoseconds since 1970
//	40  1  flags: 1 tags, 2 targets, 4 excludes, 8 metadata, 16 data that is not nil, 32 key
//	41     uvarint Seq minus the newest Seq that was synced when this was written
//	       string channel
//	       key: string                                        if flagged
//	       tags: uvarint count, each a string                 if flagged
//	       targets: uvarint count, each two strings, subject, id  if flagged
//	       excludes: the same                                   if flagged
//	       metadata: string                                     if flagged
//	       data: the rest
//
//	footer: for each channel, in order of its first record
//	       string channel
//	       uvarint Prev of its first record here
//	       uvarint Seq of its last record here, minus the segment's first Seq
//	       uvarint length of the list in bytes
//	       list: for each record two uvarints, the differences of its Seq and of its
//	       offset in the file to those of the previous record in the list; for the
//	       first record, to the segment's first Seq and to 0
//
//	trailer of the footer (76 bytes)
//	 0  8  "orpcend1"
//	 8  8  first Seq        16  8  last Seq
//	24  8  record count     32  8  epoch
//	40  8  first time       48  8  last time
//	56  8  offset of the footer
//	64  4  sum of the file up to that offset
//	68  4  channel count
//	72  4  sum of the footer up to here
//
//	CHECKPOINT, replaced as a whole by Open, Trim, expiry and Close
//	 0  8  "orpcckp1"
//	 8  1  flags: 1 closed cleanly, 2 every commit is synced
//	 9  8  salt
//	17  8  the Seq after the newest record known to be on disk
//	25  8  floor: Seq of the last record dropped
//	33  8  Seq of the last record lost to damage
//	41  8  time of the log's clock: at or after that of the newest record
//	49  8  time before which nothing is replayed
//	57     uvarint count of epochs, each 8 bytes id and uvarint first Seq
//	       uvarint count of channels without records, each string and uvarint last Seq
//	       uvarint count of keys of dropped records, each a digest of 16 bytes, epoch, Seq
//	       and time of 8; left out if there are none
//	       sum of the bytes before (4)
//
//	KEPT: lines, each of a sum in hexadecimal, a space and a JSON object
//	       k, v: key and value in base64; x: time at which the value expires;
//	       r: the value was removed. The last line for a key counts.
//
// A segment is synced before the next one is created, so only the newest can be incomplete.
// The newest synced Seq in each record distinguishes a hole of unsynced bytes, which a loss
// of power may leave anywhere in the last commit, from damage to bytes that were synced. The
// newest segment is never removed: its name is a lower limit of the next Seq. Segments up to
// the floor of the checkpoint are dropped even if their files still exist: a file is
// truncated in steps before it is removed.
package filelog

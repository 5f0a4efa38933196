// Package filelog stores events durably in a directory of one machine, with
// nothing but the standard library. [Log] is an [eventlog.Log]; one directory
// serves all channels of a namespace.
//
//	log, err := filelog.Open("/var/lib/chat", &filelog.Options{Retention: time.Hour})
//	if err != nil {
//		return err
//	}
//	defer log.Close()
//
// # Guarantees
//
// Appends that wait at the same time are written together: one write, one sync,
// then each record is delivered in order and its Append returns. What Append
// guarantees when it returns nil depends on [Options].Sync:
//
//	SyncCommit    the record survives a crash of the process and a loss of power
//	SyncInterval  it survives a crash; a loss of power may take the last SyncInterval
//	SyncNever     it survives a crash; a loss of power may take the newest segment's records
//
// Under SyncCommit nothing is delivered or replayed before it is on disk. Under
// the others records may be seen and then be lost; their positions are truncated
// afterwards. No id is ever used for two events: an Open after an unclean end
// without full sync begins a new epoch, as does one that has to cut or set aside bytes.
//
// # Errors
//
// A write that fails is undone whole: Append returns [ErrNotStored], and reads go on.
// After a failed sync it is unknown what is on disk: appends under way return
// [eventlog.ErrUncertain], and all later ones [ErrBroken] until the directory is
// opened anew. The records of the former may then turn up in a replay. Repetitions of a
// key that is known succeed even then, since they write nothing.
//
// # Full disk
//
// On a full disk, or past a quota, Append returns [ErrNotStored]. Appends succeed again
// as soon as there is space, or as soon as the records of the oldest segment have
// expired, since to drop segments takes no space. Open succeeds on a full disk too,
// unless the log is new, is damaged, or all files that the disk has room for are taken.
// Close then returns an error, though all that was acknowledged is stored; the
// next Open finds the log as after a crash.
//
// Append and Trim return [ErrGone] if the directory was removed, renamed or replaced
// since it was opened. Every commit that syncs looks for that before it writes; other
// commits look every ten milliseconds.
//
// # Damage
//
// Open reads every byte. Bytes after the last synced record that are no whole
// record are what a crash leaves of a write: they are cut. Anything else that
// does not hold is damage. The file is kept aside under a name that ends in
// ".damaged", and replaced by one with all records that do hold. Positions before
// lost records are truncated, so that the rest is not taken for the whole.
// [Log.Report] returns what was found, [Check] finds the same without changing
// anything. Bytes that go bad later, and files that are removed, are found when they are
// read: the replay ends with [ErrDamaged]. Positions before the lost records are truncated
// from then on, and replays after these do without the records.
//
// # Retention
//
// Records leave by whole segments, oldest first, when all in them are older than
// [Options].Retention or than the time passed to Trim. A segment is closed at
// SegmentBytes or an eighth of the retention, so little is kept for long after
// its time. What is still on disk but too old is not replayed.
//
// With [Options].Retention the log trims itself, whatever uses it: it drops records
// that Trim was never called for.
//
// The age of a record counts on the log's clock. That is the machine's, but it is never
// set back: if the machine's clock is, or the newest record is from the future when
// the log is opened, the log's clock goes on from there at its usual pace while the log
// is open. Records are then later than the machine's clock shows, and age all the same.
//
// A channel without records is remembered until the next segments are dropped.
// After that the log's floor stands for its own.
//
// # Keys
//
// The key of a record is stored with it, so that it is remembered after a crash, as the
// record is. Open reads the records of the last KeyWindow for that. A key is remembered for
// as long as that says, on the log's clock, also if its record is trimmed: it is in the
// checkpoint then, with 40 bytes.
//
// # Files
//
// All numbers are little endian; "uvarint" is that of encoding/binary; a string is a
// uvarint length and the bytes. A sum is a CRC-32C. All sums but those of headers
// and the checkpoint start from the sum of the log's salt, a random number that
// never leaves the directory, so that no payload can pass for a record.
//
//	LOCK                      held while the log is open
//	CHECKPOINT                what the segments do not contain
//	KEPT                      values that are kept: see Log.Bus; there once there was one
//	00000000000000000001.seg  a segment, named by the first Seq that it is for
//	*.damaged                 files kept aside, never read
//	*.tmp                     files not finished, removed by Open
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
//	 0  4  length of what follows the sum
//	 4  4  sum of what follows; the length is xored into its start
//	 8  8  epoch; in base 36 it is that of positions
//	16  8  Seq
//	24  8  Prev
//	32  8  time in nanoseconds since 1970
//	40  1  flags: 1 tags, 2 targets, 4 excludes, 8 metadata, 16 data that is not nil, 32 key
//	41     uvarint Seq less the newest Seq that was synced when this was written
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
//	       uvarint Seq of its last record here, less the segment's first Seq
//	       uvarint length of the list in bytes
//	       list: for each record two uvarints, how far its Seq is from that of the
//	       one before it in the list and how far its place in the file is; the first
//	       counts from the segment's first Seq and the start of the file
//
//	trailer of the footer (76 bytes)
//	 0  8  "orpcend1"
//	 8  8  first Seq        16  8  last Seq
//	24  8  record count     32  8  epoch
//	40  8  first time       48  8  last time
//	56  8  where the footer begins
//	64  4  sum of the file up to there
//	68  4  channel count
//	72  4  sum of the footer up to here
//
//	CHECKPOINT, replaced as a whole by Open, Trim, expiry and Close
//	 0  8  "orpcckp1"
//	 8  1  flags: 1 closed cleanly, 2 every commit is synced
//	 9  8  salt
//	17  8  the Seq after the newest that is known to be on disk
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
//	       r: the value was removed. The last line for a key holds.
//
// A segment is synced before the next is begun, so only the newest can be torn.
// The Seq synced in each record distinguishes a hole of unsynced bytes, which a loss of
// power may leave anywhere in the last commit, from damage to bytes that were
// synced. The newest segment is never removed: its name is the least that the
// next Seq can be. Segments up to the floor of the checkpoint are dropped, whatever is
// left of their files: before one is removed it is cut short bit by bit.
package filelog

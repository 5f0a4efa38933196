package filelog

// SyncData is what the log syncs its files with.
var SyncData = syncData

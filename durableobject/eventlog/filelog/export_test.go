package filelog

// SyncData is the function that syncs the files of a log.
var SyncData = syncData

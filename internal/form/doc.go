// Package form writes and reads the forms in which values with files are sent.
//
// Such a form has a part data, the envelope of package serializer, and a file part for each file,
// named 0, 1 and so on in the order in which the envelope refers to them. It is written as by
// JavaScript's FormData: in names, quotes and line breaks are %22, %0D and %0A, and nothing else is
// escaped.
//
// [Write] copies the content of each file as it is read. [Read] accepts the parts in any order and
// ignores others. [Options] limits all that it keeps. Content that exceeds the memory limit goes to
// temporary files, which [Form.Close] removes.
//
// # Errors
//
// Errors of Read wrap [ErrMalformed] or [ErrTooLarge]. Any other error comes from the reader or
// from a temporary file.
package form

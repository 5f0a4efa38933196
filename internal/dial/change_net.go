//go:build !js

package dial

// Watch returns no channel: a process is not notified of such changes.
func Watch() (changes <-chan Change, stop func()) { return nil, func() {} }

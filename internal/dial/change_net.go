//go:build !js

package dial

// Watch returns no channel: nothing announces such changes to a program of its own process.
func Watch() (changes <-chan Change, stop func()) { return nil, func() {} }

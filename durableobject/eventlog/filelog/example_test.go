package filelog_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// tempDir returns a directory for an example, and a function that removes it.
func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "filelog")
	if err != nil {
		panic(err)
	}
	return dir, func() { _ = os.RemoveAll(dir) }
}

// exampleLog returns a log in a new directory, and a function that removes it.
func exampleLog() (log *filelog.Log, remove func()) {
	dir, removeDir := tempDir()
	log, err := filelog.Open(dir, nil)
	if err != nil {
		panic(err)
	}
	return log, func() {
		_ = log.Close()
		removeDir()
	}
}

// Events survive the process.
func ExampleOpen() {
	dir, remove := tempDir()
	defer remove()
	ctx := context.Background()

	for run := range 2 {
		log, err := filelog.Open(filepath.Join(dir, "chat"), &filelog.Options{Retention: time.Hour})
		if err != nil {
			panic(err)
		}
		r := &eventlog.Record{Data: fmt.Appendf(nil, "run %d", run)}
		if err := log.Append(ctx, "room", r, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
		replay, err := log.After(ctx, "room", eventlog.Position{})
		if err != nil {
			panic(err)
		}
		for r, err := range replay.Records {
			fmt.Println(r.Seq, string(r.Data), err)
		}
		fmt.Println("closed", log.Close())
	}
	// Output:
	// 1 run 0 <nil>
	// closed <nil>
	// 1 run 0 <nil>
	// 2 run 1 <nil>
	// closed <nil>
}

func ExampleLog_Append() {
	log, remove := exampleLog()
	defer remove()

	r := &eventlog.Record{Data: []byte("hello")}
	err := log.Append(context.Background(), "room", r, func(r *eventlog.Record) {
		fmt.Println("on disk:", string(r.Data))
	})
	fmt.Println(r.Seq, err)
	// Output:
	// on disk: hello
	// 1 <nil>
}

func ExampleLog_After() {
	log, remove := exampleLog()
	defer remove()
	ctx := context.Background()
	var first string
	for _, text := range []string{"seen", "missed"} {
		r := &eventlog.Record{Data: []byte(text)}
		if err := log.Append(ctx, "room", r, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
		if first == "" {
			first = r.Position().String()
		}
	}
	replay, err := log.After(ctx, "room", eventlog.PositionOf(first))
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// missed <nil>
}

func ExampleLog_Newest() {
	log, remove := exampleLog()
	defer remove()
	ctx := context.Background()
	for _, text := range []string{"one", "two", "three"} {
		if err := log.Append(ctx, "room", &eventlog.Record{Data: []byte(text)}, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
	}
	replay, err := log.Newest(ctx, "room", eventlog.Position{})
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// three <nil>
	// two <nil>
	// one <nil>
}

func ExampleLog_Head() {
	log, remove := exampleLog()
	defer remove()

	head, err := log.Head(context.Background(), "room")
	fmt.Println(head.Seq, err)
	// Output:
	// 0 <nil>
}

func ExampleLog_Trim() {
	log, remove := exampleLog()
	defer remove()
	ctx := context.Background()
	r := &eventlog.Record{Data: []byte("hello")}
	if err := log.Append(ctx, "room", r, func(*eventlog.Record) {}); err != nil {
		panic(err)
	}
	fmt.Println(log.Trim(ctx, r.Time.Add(time.Second)))
	fmt.Println(log.Stats().Floor)
	// Output:
	// <nil>
	// 1
}

func ExampleLog_Report() {
	log, remove := exampleLog()
	defer remove()

	report := log.Report()
	fmt.Println(report.Clean, report.Cut, report.Err())
	// Output:
	// true 0 <nil>
}

func ExampleLog_Stats() {
	log, remove := exampleLog()
	defer remove()
	for range 3 {
		if err := log.Append(context.Background(), "room", &eventlog.Record{}, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
	}
	stats := log.Stats()
	fmt.Println(stats.Head, stats.Channels, stats.Segments, stats.Failure)
	// Output:
	// 3 1 1 <nil>
}

func ExampleLog_Close() {
	log, remove := exampleLog()
	defer remove()

	fmt.Println(log.Close())
	_, err := log.Head(context.Background(), "room")
	fmt.Println(err)
	// Output:
	// <nil>
	// filelog: head: closed
}

// Check verifies every record of a log that no process has open.
func ExampleCheck() {
	dir, remove := tempDir()
	defer remove()
	log, err := filelog.Open(dir, nil)
	if err != nil {
		panic(err)
	}
	if err := log.Append(context.Background(), "room", &eventlog.Record{}, func(*eventlog.Record) {}); err != nil {
		panic(err)
	}
	_ = log.Close()

	report, err := filelog.Check(dir)
	fmt.Println(report.Records, report.Clean, report.Err(), err)
	// Output:
	// 1 true <nil> <nil>
}

// SPDX-License-Identifier: Apache-2.0

// The reference of bench_compare: the Go client doing what the programs beside this folder do. It takes their
// arguments with the program's name in front and prints the same line: see ../meter.h.
//
//	peer ENDPOINT calls put|get WORKERS CALLS
//	peer ENDPOINT watch COUNT
//	peer ENDPOINT replay EVENTS
//	peer ENDPOINT range PAIRS TIMES
//	peer ENDPOINT lease COUNT
//	peer ENDPOINT lock COUNT
//	peer ENDPOINT lock-one-session COUNT
//	peer ENDPOINT connect COUNT
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

const (
	workers = 100 // goroutines, where the C program has as many calls under way
	value   = "0123456789abcdef0123456789abcdef"
)

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

// ---- what is measured ----

type meter struct {
	cpu   float64
	start time.Time
	rss   float64
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	of := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return of(usage.Utime) + of(usage.Stime)
}

func rssBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	check(err)
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	check(err)
	return float64(pages * os.Getpagesize())
}

func begin() meter {
	runtime.GC()
	return meter{cpu: cpuSeconds(), start: time.Now(), rss: rssBytes()}
}

func (m meter) end(items int) {
	cpu, seconds := cpuSeconds()-m.cpu, time.Since(m.start).Seconds()
	runtime.GC()
	n := float64(items)
	fmt.Printf("%.3f %.1f %.1f\n", cpu/n*1e6, n/seconds, (rssBytes()-m.rss)/n)
}

// Each worker gets its share of the numbers below count.
func share(workers, count int, work func(i int)) {
	var group sync.WaitGroup
	var next atomic.Int64
	for w := 0; w < workers; w++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				work(i)
			}
		}()
	}
	group.Wait()
}

// ---- the works ----

func open(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	check(err)
	return client
}

func ready(endpoint string) *clientv3.Client {
	client := open(endpoint)
	_, err := client.Get(ctx, "bench/key")
	check(err)
	return client
}

func calls(endpoint, op string, workers, count int) {
	client := ready(endpoint)
	m := begin()
	share(workers, count, func(int) {
		var err error
		if op == "put" {
			_, err = client.Put(ctx, "bench/key", value)
		} else {
			_, err = client.Get(ctx, "bench/key")
		}
		check(err)
	})
	m.end(count)
}

func watch(endpoint string, count int) {
	client := ready(endpoint)
	m := begin()
	share(workers, count, func(i int) {
		answer := <-client.Watch(ctx, fmt.Sprintf("bench/watch/%d", i), clientv3.WithCreatedNotify())
		check(answer.Err())
	})
	m.end(count)
}

func replay(endpoint string, count int) {
	client := ready(endpoint)
	m := begin()
	seen := 0
	for answer := range client.Watch(ctx, "bench/fill/", clientv3.WithPrefix(), clientv3.WithRev(1)) {
		check(answer.Err())
		seen += len(answer.Events)
		if seen >= count {
			break
		}
	}
	m.end(seen)
}

func rangePairs(endpoint string, pairs, times int) {
	client := ready(endpoint)
	m := begin()
	for i := 0; i < times; i++ {
		answer, err := client.Get(ctx, "bench/fill/", clientv3.WithPrefix())
		check(err)
		if len(answer.Kvs) != pairs {
			check(fmt.Errorf("%d pairs, not %d", len(answer.Kvs), pairs))
		}
	}
	m.end(pairs * times)
}

// All are granted and kept alive; then all have been renewed once.
func lease(endpoint string, count int) {
	client := ready(endpoint)
	answers := make([]<-chan *clientv3.LeaseKeepAliveResponse, count)
	m := begin()
	share(workers, count, func(i int) {
		grant, err := client.Grant(ctx, 120)
		check(err)
		answers[i], err = client.KeepAlive(ctx, grant.ID)
		check(err)
	})
	for _, renewed := range answers {
		<-renewed
	}
	m.end(count)
}

func newSession(client *clientv3.Client) *concurrency.Session {
	session, err := concurrency.NewSession(client)
	check(err)
	return session
}

func lockOnce(session *concurrency.Session, i int) {
	mutex := concurrency.NewMutex(session, fmt.Sprintf("bench/lock/%d", i))
	check(mutex.Lock(ctx))
	check(mutex.Unlock(ctx))
}

func lock(endpoint string, count int) {
	client := ready(endpoint)
	m := begin()
	for i := 0; i < count; i++ {
		session := newSession(client)
		lockOnce(session, i)
		check(session.Close())
	}
	m.end(count)
}

func lockOneSession(endpoint string, count int) {
	client := ready(endpoint)
	session := newSession(client)
	m := begin()
	for i := 0; i < count; i++ {
		lockOnce(session, i)
	}
	m.end(count)
}

func connect(endpoint string, count int) {
	m := begin()
	for i := 0; i < count; i++ {
		check(ready(endpoint).Close())
	}
	m.end(count)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	check(err)
	return n
}

func main() {
	args := append(os.Args[1:], "", "", "", "")
	endpoint := args[0]
	switch args[1] {
	case "calls":
		calls(endpoint, args[2], number(args[3]), number(args[4]))
	case "watch":
		watch(endpoint, number(args[2]))
	case "replay":
		replay(endpoint, number(args[2]))
	case "range":
		rangePairs(endpoint, number(args[2]), number(args[3]))
	case "lease":
		lease(endpoint, number(args[2]))
	case "lock":
		lock(endpoint, number(args[2]))
	case "lock-one-session":
		lockOneSession(endpoint, number(args[2]))
	case "connect":
		connect(endpoint, number(args[2]))
	default:
		fmt.Fprintln(os.Stderr, "peer: see the head of main.go")
		os.Exit(2)
	}
}

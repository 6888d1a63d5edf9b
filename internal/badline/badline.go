// Package badline is a bad line between a client and a server, for tests: a proxy
// that delays, throttles, cuts and freezes TCP connections.
package badline

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what a line does to its connections. The zero value is a good line.
type Fault struct {
	Latency time.Duration // of each piece of at most 16 KiB, either way
	Rate    int64         // bytes per second, each way of each connection; 0: no limit
	Cut     int64         // after so many bytes, and again and again, reset the connection that brings them; 0: never
	Freeze  int64         // after so many bytes every connection stays open and swallows everything; 0: never
}

// Line is a line to one server.
type Line struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	fired   atomic.Int64 // connections that were cut or frozen
	carried atomic.Int64 // bytes to the client

	mu     sync.Mutex // guards what follows
	fault  Fault
	moved  int64 // bytes, both ways of all connections, since fault was set
	ends   map[*net.TCPConn]bool
	closed bool
}

// New returns a good line to target, an address host:port. The caller closes it.
func New(target string) (*Line, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Line{target: target, listener: listener, ends: map[*net.TCPConn]bool{}}
	l.running.Go(l.accept)
	return l, nil
}

// Addr is where clients connect to, host:port.
func (l *Line) Addr() string { return l.listener.Addr().String() }

// Set makes the line behave like f from now on, also on connections that exist; but
// what is cut or frozen stays so.
func (l *Line) Set(f Fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault, l.moved = f, 0
}

// Fired counts the connections that were cut or frozen so far.
func (l *Line) Fired() int64 { return l.fired.Load() }

// Carried counts the bytes that came to clients so far.
func (l *Line) Carried() int64 { return l.carried.Load() }

// Close ends the line and all its connections, and waits for that.
func (l *Line) Close() error {
	err := l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for end := range l.ends {
		_ = end.Close() // it may have ended by itself
	}
	l.mu.Unlock()
	l.running.Wait()
	return err
}

// wait is how long n bytes take.
func (l *Line) wait(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait := l.fault.Latency
	if l.fault.Rate > 0 {
		wait += time.Duration(n) * time.Second / time.Duration(l.fault.Rate)
	}
	return wait
}

// move counts n bytes and tells what happens to the connection that brings them.
func (l *Line) move(n int) (cut, freeze bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.moved
	l.moved += int64(n)
	f := l.fault
	return f.Cut > 0 && before/f.Cut != l.moved/f.Cut, f.Freeze > 0 && l.moved >= f.Freeze
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.running.Go(func() { l.connect(client.(*net.TCPConn)) })
	}
}

// connect carries one connection until both ways have ended.
func (l *Line) connect(client *net.TCPConn) {
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		_ = client.SetLinger(0)
		_ = client.Close()
		return
	}
	c := &connection{line: l, client: client, server: server.(*net.TCPConn)}
	if !l.own(c.client, c.server) {
		c.close()
		return
	}
	var ways sync.WaitGroup
	ways.Go(func() { c.carry(c.server, c.client, nil) })
	ways.Go(func() { c.carry(c.client, c.server, &l.carried) })
	ways.Wait()
	l.disown(c.client, c.server)
	c.close()
}

// own notes connections that Close has to end; false: it is over.
func (l *Line) own(ends ...*net.TCPConn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		l.ends[end] = true
	}
	return !l.closed
}

func (l *Line) disown(ends ...*net.TCPConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range ends {
		delete(l.ends, end)
	}
}

type connection struct {
	line           *Line
	client, server *net.TCPConn
	fired          sync.Once
	frozen         atomic.Bool
}

func (c *connection) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// carry moves bytes one way until either end closes or breaks.
func (c *connection) carry(to, from *net.TCPConn, count *atomic.Int64) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && !c.forward(to, buf[:n], count) {
			return
		}
		switch {
		case err == io.EOF && !c.frozen.Load():
			_ = to.CloseWrite()
			return
		case err != nil:
			c.close() // what is frozen ends as a whole
			return
		}
	}
}

// forward does to a piece what the line does; false: the connection is gone.
func (c *connection) forward(to *net.TCPConn, piece []byte, count *atomic.Int64) bool {
	if c.frozen.Load() {
		return true
	}
	time.Sleep(c.line.wait(len(piece)))
	cut, freeze := c.line.move(len(piece))
	if cut || freeze {
		c.fired.Do(func() { c.line.fired.Add(1) })
	}
	switch {
	case freeze:
		c.frozen.Store(true)
		return true
	case cut:
		_ = c.client.SetLinger(0) // a reset, not an orderly end
		_ = c.server.SetLinger(0)
		c.close()
		return false
	}
	if count != nil {
		count.Add(int64(len(piece))) // before anybody can have it
	}
	n, err := to.Write(piece)
	if count != nil {
		count.Add(int64(n - len(piece)))
	}
	return err == nil
}

/**
 * Starts a worker behind a command prefix (docker exec, ssh, kubectl), where only stdin, stdout and
 * stderr arrive: these become the channel, and the worker gets descriptors of its own.
 *
 * Sent as text over stdin, so it has no opening tag. When stdin ends, so does the worker: an idle one
 * at once, a busy one is killed after three seconds.
 */
( function () {
	$told  = json_decode( fgets( STDIN ), true );
	$boot  = '$GLOBALS["wpbridge_in"]=fopen("php://fd/3","r");eval(base64_decode(fgets($GLOBALS["wpbridge_in"])));';
	if ( 'wp' === $told['through'] ) {
		// WP-CLI once more, with all that it was told but to do without WordPress.
		$words = array_diff( $_SERVER['argv'], array( '--skip-wordpress' ) );
		$words = str_replace( 'eval(base64_decode(fgets(STDIN)));', $boot, $words );
		$start = array_merge( array( PHP_BINARY ), array_values( $words ), $told['options'] );
	} else {
		$start = array_merge( array( PHP_BINARY, '-r', $boot, '--' ), $told['options'] );
	}
	$files = array( array( 'file', '/dev/null', 'r' ), STDERR, STDERR, array( 'pipe', 'r' ), array( 'pipe', 'w' ) );
	$env   = array( 'WPBRIDGE_WORKER' => '3,4' ) + getenv();
	$child = proc_open( $start, $files, $pipes, null, $env );
	if ( ! $child ) {
		fwrite( STDERR, "wpbridge launcher: PHP could not be started\n" );
		exit( 1 );
	}
	fwrite( $pipes[3], $told['code'] . "\n" );
	// A blocking read of PHP waits for more even when it has something to give.
	stream_set_blocking( STDIN, false );
	stream_set_blocking( $pipes[4], false );
	$until = null;
	while ( true ) {
		$ready = null === $until ? array( STDIN, $pipes[4] ) : array( $pipes[4] );
		$none  = null;
		stream_select( $ready, $none, $none, 0, null === $until ? 1000000 : 50000 );
		foreach ( $ready as $stream ) {
			$data = fread( $stream, 65536 );
			if ( '' !== $data && false !== $data ) {
				fwrite( STDIN === $stream ? $pipes[3] : STDOUT, $data );
			} elseif ( ! feof( $stream ) ) {
				continue;
			} elseif ( STDIN === $stream ) {
				fclose( $pipes[3] );
				$until = microtime( true ) + 3;
			} else {
				exit( proc_close( $child ) );
			}
		}
		$state = proc_get_status( $child );
		if ( ! $state['running'] ) {
			fwrite( STDOUT, (string) stream_get_contents( $pipes[4] ) );
			// A signal's death is told as a shell would.
			exit( $state['signaled'] ? 128 + $state['termsig'] : $state['exitcode'] );
		}
		if ( null !== $until && microtime( true ) > $until ) {
			proc_terminate( $child, 9 );
		}
	}
} )();

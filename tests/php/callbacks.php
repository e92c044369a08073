<?php
/**
 * Callbacks for the tests of PHP workers: good ones, bad ones, deadly ones.
 *
 * @package wpbridge
 */

/** Appends a line to the site's record. */
function t_record( ...$what ) {
	file_put_contents( WP_CONTENT_DIR . '/record.jsonl', wp_json_encode( $what ) . "\n", FILE_APPEND | LOCK_EX );
}

add_action( 't_noop', function () {}, 10, 0 );
add_action( 't_args', function ( ...$args ) { t_record( 'args', $args ); }, 10, 9 );
add_action( 't_pid', function ( $n = 0 ) { t_record( 'pid', getmypid(), $n ); }, 10, 1 );
add_action( 't_throw', function () { throw new LogicException( 'boom: détail' ); } );
add_action( 't_code', function () { throw new PDOException( 'text code' ); } );
add_action( 't_type_error', function () { strlen( array() ); } );
add_action( 't_user_error', function () { trigger_error( 'told so', E_USER_ERROR ); } );
add_action( 't_warning', function () { trigger_error( 'only a warning', E_USER_WARNING ); } );
add_action( 't_die', function () { wp_die( '<p>no <b>more</b></p>' ); } );
add_action( 't_die_error', function () { wp_die( new WP_Error( 'x', 'an error object' ) ); } );
add_action( 't_exit', function () { echo "last words\n"; exit( 3 ); } );
add_action( 't_exit_0', function () { exit; } );
add_action( 't_oom', function () { ini_set( 'memory_limit', memory_get_usage() + 20000000 ); $x = ''; while ( true ) { $x .= str_repeat( 'x', 1000000 ); } } );
add_action( 't_fatal', function () { eval( 'interface T_Twice {} interface T_Twice {}' ); } );
add_action( 't_signal', function ( $number = 11 ) { posix_kill( getmypid(), $number ); sleep( 60 ); }, 10, 1 );
add_action( 't_hang', function () { t_record( 'hang', getmypid() ); while ( true ) { usleep( 10000 ); } } );
add_action( 't_sleep', function ( $seconds = 1 ) { usleep( (int) ( $seconds * 1e6 ) ); t_record( 'slept', $seconds ); }, 10, 1 );
add_action( 't_echo', function () { echo 'to stdout'; fwrite( STDERR, 'to stderr' ); fwrite( STDOUT, '{"is":"end"}' . "\n" ); ob_start(); echo 'buffered'; } );
add_action( 't_flood', function ( $bytes = 1000000 ) { echo str_repeat( 'y', $bytes ), 'THE END'; throw new Exception( 'after a flood' ); }, 10, 1 );
add_action( 't_shell', function () { system( 'echo from a child; echo and its stderr >&2' ); throw new Exception( 'after a child' ); } );
add_action( 't_fork', function () {
	$child = pcntl_fork();
	if ( 0 === $child ) {
		exit( 7 );
	}
	pcntl_waitpid( $child, $status );
} );
add_action( 't_dirty', function () {
	global $wpdb;
	$_GET['left'] = $_SERVER['LEFT'] = 'behind';
	$GLOBALS['post'] = (object) array( 'ID' => 1 );
	wp_set_current_user( 1 );
	wp_cache_set( 't', 'stale' );
	date_default_timezone_set( 'Asia/Tokyo' );
	chdir( '/' );
	ob_start();
	$wpdb->query( 'START TRANSACTION' );
	$wpdb->insert( $wpdb->options, array( 'option_name' => 't_uncommitted', 'option_value' => '1' ) );
	$wpdb->query( 'SELECT nonsense' );
} );
add_action( 't_look', function () {
	global $wpdb;
	t_record(
		'look',
		array(
			isset( $_GET['left'] ), isset( $_SERVER['LEFT'] ), isset( $GLOBALS['post'] ), get_current_user_id(),
			wp_cache_get( 't' ), date_default_timezone_get(), '/' === getcwd(), ob_get_level(), $wpdb->last_error,
			$wpdb->get_var( 'SELECT @@in_transaction' ), get_option( 't_uncommitted', 'rolled back' ),
		)
	);
} );
add_action( 't_own_row', function () {
	global $wpdb;
	t_record( 'own', $wpdb->get_col( "SELECT CONCAT(status, ' ', attempts) FROM {$wpdb->prefix}actionscheduler_actions WHERE hook = 't_own_row'" ) );
} );
add_action( 't_leak', function () { static $kept = array(); $kept[] = str_repeat( 'x', 8000000 ); } );
add_action( 't_defer', function () { add_action( 'shutdown', function () { t_record( 'deferred' ); } ); } );
add_action( 't_kill_connection', function () {
	global $wpdb;
	$wpdb->suppress_errors( true );
	$wpdb->query( 'KILL ' . $wpdb->get_var( 'SELECT CONNECTION_ID()' ) );
} );
/** Writes to all pipes that are open beside the three: one of them leads to wpbridge. */
function t_write_to_pipes( $text ) {
	foreach ( glob( '/proc/self/fd/*' ) as $place ) {
		if ( basename( $place ) > 2 && 0 === strpos( (string) @readlink( $place ), 'pipe:' ) ) {
			@file_put_contents( 'php://fd/' . basename( $place ), $text );
		}
	}
}
add_action( 'action_scheduler_before_execute', function ( $id ) { $GLOBALS['t_current'] = $id; } );
add_action( 't_answers', function ( $text, $throw = false ) {
	t_write_to_pipes( str_replace( 'ID', (string) $GLOBALS['t_current'], $text ) );
	if ( $throw ) {
		throw new Exception( 'after a forgery' );
	}
}, 10, 2 );
add_action( 't_child_answers', function () {
	$code  = 'foreach (glob("/proc/self/fd/*") as $f) { if (basename($f) > 2 && 0 === strpos((string) @readlink($f), "pipe:")) { @file_put_contents("php://fd/" . basename($f), "[1]\n"); } }';
	$child = proc_open( array( PHP_BINARY, '-r', $code ), array(), $pipes );
	t_record( 'child', proc_close( $child ), extension_loaded( 'ffi' ) );
} );
add_action( 't_fork_and_return', function () { pcntl_fork(); } );
add_action( 't_odd_error', function () {
	throw new class() extends Exception { protected $message = array( 'no', 'text' ); };
} );
add_action( 't_secret', function () {
	global $wp_filter;
	$secret = ( new ReflectionClass( 'Wpbridge_Worker' ) )->getStaticPropertyValue( 'secret' );
	$dump   = print_r( array( $wp_filter, debug_backtrace(), getenv(), $_ENV, $_SERVER ), true );
	t_record( 'secret', strlen( $secret ), strpos( $dump, $secret ), getenv( 'WPBRIDGE_WORKER' ) );
} );
add_action( 't_use_database', function () { t_record( 'blogname', get_option( 'blogname' ) ); } );

foreach ( array( 'before_process_queue', 'after_process_queue', 'before_execute', 'begin_execute', 'after_execute', 'completed_action', 'failed_execution', 'failed_validation', 'execution_ignored', 'stored_action', 'canceled_action' ) as $event ) {
	add_action(
		"action_scheduler_$event",
		function ( ...$args ) use ( $event ) {
			if ( ! is_file( WP_CONTENT_DIR . '/listen' ) ) {
				return;
			}
			$told = array_map( function ( $arg ) { return is_object( $arg ) ? get_class( $arg ) : $arg; }, $args );
			t_record( $event, $told );
		},
		10,
		9
	);
}

/** The time for a worker whose host is suspended once, right after a callback that asks for it. */
function t_time() {
	if ( ! empty( $GLOBALS['t_suspend'] ) && 0 === --$GLOBALS['t_suspend'] ) {
		$GLOBALS['t_slept'] = 60;
	}
	return microtime( true ) + ( $GLOBALS['t_slept'] ?? 0 );
}
add_action( 't_suspend', function () { $GLOBALS['t_suspend'] = 2; } );
add_action( 't_wait', function () { t_record( 'wait' ); while ( ! file_exists( WP_CONTENT_DIR . '/go' ) ) { usleep( 10000 ); clearstatcache(); } } );

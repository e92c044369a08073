<?php
/**
 * Answers, line by line, what PHP, WordPress and Action Scheduler make of an input.
 *
 * php oracle.php PLUGIN WORDPRESS reads lines "OPERATION BASE64" and writes "=BASE64" for an answer
 * and "-" where the input is refused. PLUGIN and WORDPRESS are folders; either may be empty.
 *
 * @package wpbridge
 */

error_reporting( 0 );
ini_set( 'serialize_precision', '-1' );
date_default_timezone_set( 'UTC' );
[ , $plugin, $wordpress ] = $argv + array( '', '', '' );

const DAY_IN_SECONDS  = 86400;
const HOUR_IN_SECONDS = 3600;
const RAN_AT          = 2000000000;
const LAST_SECOND     = 253402300799;

final class T_Refused extends Exception {}
final class T_Never_Ends extends Exception {}

if ( '' !== $wordpress ) {
	define( 'ABSPATH', "$wordpress/" );
	define( 'WPINC', 'wp-includes' );
	define( 'WP_DEBUG', false );
	foreach ( array( 'compat', 'plugin', 'functions' ) as $name ) {
		require ABSPATH . WPINC . "/$name.php";
	}
	if ( is_file( ABSPATH . WPINC . '/utf8.php' ) ) {
		require_once ABSPATH . WPINC . '/utf8.php';
	}
} else {
	define( 'ABSPATH', '/' );
	function apply_filters( $name, $value ) {
		return $value;
	}
	function add_action() {}
	function wp_json_encode( $value ) {
		return json_encode( $value );
	}
}
if ( ! function_exists( '__' ) ) {
	function __( $text ) {
		return $text;
	}
	function esc_html( $text ) {
		return $text;
	}
}

if ( '' !== $plugin ) {
	$files = array();
	foreach ( new RecursiveIteratorIterator( new RecursiveDirectoryIterator( $plugin ) ) as $file ) {
		if ( 'php' === $file->getExtension() ) {
			$files[ strtolower( $file->getBasename( '.php' ) ) ] = $file->getPathname();
		}
	}
	spl_autoload_register(
		function ( $name ) use ( $files ) {
			if ( isset( $files[ strtolower( $name ) ] ) ) {
				require_once $files[ strtolower( $name ) ];
			}
		}
	);
	require_once "$plugin/functions.php";
}

/** JSON that is stored, as the next repeat stores it. */
function t_args( $text ) {
	$value = json_decode( $text, true );
	if ( ! is_array( $value ) || JSON_ERROR_NONE !== json_last_error() ) {
		throw new T_Refused();
	}
	$json = wp_json_encode( $value );
	if ( false === $json ) {
		throw new T_Refused();
	}
	return $json;
}

/** A PHP value, as it is stored. */
function t_encode( $blob ) {
	$json = wp_json_encode( unserialize( $blob ) );
	if ( false === $json ) {
		throw new T_Refused();
	}
	return $json;
}

/** "TIMESTAMP 0|1 EXPRESSION": its next date, with the second word also the start's own minute. */
function t_cron( $text ) {
	[ $after, $allow, $expression ] = explode( ' ', $text, 3 );
	$found = CronExpression::factory( $expression )->getNextRunDate( new DateTime( "@$after" ), 0, (bool) $allow );
	return (string) $found->getTimestamp();
}

/** What a schedule means, and its successor's after a run at RAN_AT. */
function t_schedule( $blob ) {
	$read = unserialize( $blob );
	if ( empty( $read ) || ! is_a( $read, 'ActionScheduler_Schedule' ) ) {
		throw new T_Refused();
	}
	// One that wrote itself (C:) has no date at all, which is to us what it is to the others: now.
	$is_undated = 'ActionScheduler_NullSchedule' === get_class( $read );
	$told     = array( get_class( $read ), t_moment( $read->get_date() ?? ( $is_undated ? null : new DateTime() ) ) );
	if ( $read->is_recurring() ) {
		$told[] = t_successor( $read );
	}
	return implode( ' ', $told );
}

function t_moment( $date ) {
	if ( null === $date ) {
		return 'none';
	}
	return abs( $date->getTimestamp() - time() ) < 60 ? 'now' : (string) $date->getTimestamp();
}

function t_successor( $read ) {
	$is_interval = $read instanceof ActionScheduler_IntervalSchedule;
	if ( $is_interval && 0 === (int) $read->get_recurrence() ) {
		return 'ends';
	}
	try {
		$next = $read->get_next( as_get_datetime_object( RAN_AT ) );
		if ( null === $next || $next->getTimestamp() > LAST_SECOND ) {
			return 'error';
		}
		$new = new $read( $next, $read->get_recurrence(), $read->get_first_date() );
		if ( 'now' === t_moment( $new->get_first_date() ) ) {
			return 'next ' . $new->get_date()->getTimestamp();
		}
		return base64_encode( serialize( $new ) );
	} catch ( T_Never_Ends $never ) {
		return 'error';
	} catch ( Exception $error ) {
		return 'error';
	} catch ( Error $fatal ) {
		return 'fatal';
	}
}

pcntl_async_signals( true );
pcntl_signal( SIGALRM, function () { throw new T_Never_Ends(); } );
while ( false !== ( $line = fgets( STDIN ) ) ) {
	[ $operation, $input ] = explode( ' ', rtrim( $line, "\n" ) );
	pcntl_alarm( 1 );
	try {
		$answer = '=' . base64_encode( call_user_func( "t_$operation", base64_decode( $input ) ) );
	} catch ( Throwable $refused ) {
		$answer = '-';
	}
	pcntl_alarm( 0 );
	echo $answer, "\n";
}

<?php
/*
 * The second part of the companion plugin. It stands behind companion.php in the file that WordPress loads.
 */

if ( ! class_exists( 'Wpbridge_Wakes', false ) ) {

	/**
	 * Wakes the daemons of wpbridge at the end of a request that has stored an action which is due now.
	 *
	 * Each daemon gets one datagram, and nobody waits for it. What does not arrive costs nothing but time: daemons also
	 * look by themselves. Where nobody listens, nothing happens. Written in the PHP of 5.6, as the first part.
	 */
	final class Wpbridge_Wakes {

		/** So many ids are remembered. Then the database is asked which of them are due. */
		const MOST_IDS = 500;

		/** The ids of stored actions, by the table prefix of their site. */
		private static $stored = array();

		/** The sites of which an action is known to be due, by their table prefix. */
		private static $due = array();

		private static $is_registered = false;

		public static function listen() {
			add_action( 'action_scheduler_stored_action', array( __CLASS__, 'note' ), PHP_INT_MAX );
			// A PHP worker of wpbridge says so after each action that it has run.
			add_action( 'wpbridge_action_ended', array( __CLASS__, 'wake' ) );
		}

		public static function note( $id ) {
			global $wpdb;
			$prefix = $wpdb->prefix;
			if ( ! self::$is_registered ) {
				self::$is_registered = true;
				register_shutdown_function( array( __CLASS__, 'at_end' ) );
			}
			if ( isset( self::$due[ $prefix ] ) ) {
				return;
			}
			self::$stored[ $prefix ][] = (int) $id;
			if ( count( self::$stored[ $prefix ] ) >= self::MOST_IDS ) {
				$found = Wpbridge_Companion::rows( 'SELECT ' . self::is_due( $prefix ) . ' AS is_due' );
				unset( self::$stored[ $prefix ] );
				if ( $found && $found[0]['is_due'] ) {
					self::$due[ $prefix ] = true;
				}
			}
		}

		/** Goes behind all that other plugins do at the end, since one of them may commit or store something there. */
		public static function at_end() {
			register_shutdown_function( array( __CLASS__, 'wake_after_response' ) );
		}

		public static function wake_after_response() {
			if ( ! self::$stored && ! self::$due ) {
				return;
			}
			foreach ( array( 'fastcgi_finish_request', 'litespeed_finish_request' ) as $finish ) {
				if ( function_exists( $finish ) ) {
					$finish();
				}
			}
			self::wake();
		}

		public static function wake() {
			$prefixes = array_keys( self::$due + self::$stored );
			if ( ! $prefixes ) {
				return;
			}
			// Other plugins show or log even what is silenced with @.
			set_error_handler( '__return_true' );
			try {
				foreach ( $prefixes as $prefix ) {
					self::wake_site( $prefix );
				}
			} catch ( Exception $error ) {
				$error = null;
			} catch ( Throwable $error ) {
				$error = null;
			}
			restore_error_handler();
			self::$stored = array();
			self::$due    = array();
		}

		private static function wake_site( $prefix ) {
			$condition = isset( self::$due[ $prefix ] ) ? '' : ' AND ' . self::is_due( $prefix );
			$told      = array();
			foreach ( (array) Wpbridge_Companion::rows(
				"SELECT DISTINCT wake_address FROM {$prefix}wpbridge_runners WHERE wake_address <> ''"
				. ' AND beat_gmt > UTC_TIMESTAMP() - INTERVAL ' . Wpbridge_Companion::SILENT_SECONDS . " SECOND$condition"
			) as $row ) {
				$told[] = $row['wake_address'];
			}
			if ( $told && defined( 'WPBRIDGE_WAKE' ) ) {
				$told = array_filter( explode( ' ', (string) WPBRIDGE_WAKE ) );
			}
			$keys = $told ? Wpbridge_Companion::signing_keys( 'wake', $prefix ) : array();
			if ( ! $keys ) {
				return;
			}
			$signed  = "wpbridge-wake/1 $prefix " . time() . ' ' . bin2hex( random_bytes( 8 ) );
			$message = "$signed " . hash_hmac( 'sha256', $signed, $keys[0] );
			foreach ( $told as $addresses ) {
				foreach ( explode( ' ', $addresses ) as $address ) {
					if ( self::send( $address, $message ) ) {
						break;
					}
				}
			}
		}

		/** A condition that is true if one of the stored actions is due now and nobody has it. */
		private static function is_due( $prefix ) {
			$now = gmdate( 'Y-m-d H:i:s' );
			$ids = implode( ', ', self::$stored[ $prefix ] );
			return "EXISTS ( SELECT 1 FROM {$prefix}actionscheduler_actions WHERE action_id IN ( $ids )"
				. " AND status = 'pending' AND claim_id = 0 AND scheduled_date_gmt <= '$now' )";
		}

		/** Sends one datagram without waiting, and tells whether that went well. Names are not looked up, which might take long. */
		private static function send( $address, $message ) {
			if ( 0 === strpos( $address, 'unix:/' ) ) {
				$target = 'udg://' . substr( $address, 5 );
			} elseif ( preg_match( '/^udp:(?:\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d{1,5}$/Di', $address ) ) {
				$target = 'udp://' . substr( $address, 4 );
			} else {
				return false;
			}
			$socket = stream_socket_client( $target, $code, $text, 0.1 );
			if ( ! $socket ) {
				return false;
			}
			stream_set_blocking( $socket, false );
			$sent = fwrite( $socket, $message );
			fclose( $socket );
			return strlen( $message ) === $sent;
		}
	}

	Wpbridge_Wakes::listen();
}
